# dure_platform_sources(VARIABLE stem...)
# The files of this platform that stand behind one header each: STEM_win32.c on Windows, elsewhere
# STEM_linux.c where there is one, and STEM_posix.c where there is none.
function(dure_platform_sources variable)
    set(sources "")
    foreach(stem IN LISTS ARGN)
        if(WIN32)
            list(APPEND sources ${stem}_win32.c)
        elseif(CMAKE_SYSTEM_NAME STREQUAL "Linux" AND EXISTS ${CMAKE_CURRENT_SOURCE_DIR}/${stem}_linux.c)
            list(APPEND sources ${stem}_linux.c)
        else()
            list(APPEND sources ${stem}_posix.c)
        endif()
    endforeach()
    set(${variable} ${sources} PARENT_SCOPE)
endfunction()

# dure_room(NAME source... [PLATFORM stem...] [LIBRARIES lib...])
# A room of framework/: an object library whose objects make up the library dure.
function(dure_room name)
    cmake_parse_arguments(ROOM "" "" "PLATFORM;LIBRARIES" ${ARGN})
    dure_platform_sources(platform_sources ${ROOM_PLATFORM})
    add_library(dure_${name} OBJECT ${ROOM_UNPARSED_ARGUMENTS} ${platform_sources})
    target_link_libraries(dure_${name} PUBLIC dure_flags ${ROOM_LIBRARIES})
    set_property(GLOBAL APPEND PROPERTY DURE_ROOMS dure_${name})
endfunction()

# dure_tests(ROOM noun... [SOURCES file...] [LIBRARIES lib...])
# One executable test_ROOM from test_NOUN.c...; each noun is one suite and one ctest, ROOM.NOUN.
# A noun that ends in the name of a platform or of a back end is left out where that is not.
function(dure_tests room)
    cmake_parse_arguments(TEST "" "TIMEOUT" "SOURCES;LIBRARIES" ${ARGN})
    if(WIN32)
        list(FILTER TEST_UNPARSED_ARGUMENTS EXCLUDE REGEX "(^|_)(posix|linux|epoll|uring)$")
    else()
        list(FILTER TEST_UNPARSED_ARGUMENTS EXCLUDE REGEX "(^|_)win32$")
    endif()
    set(DURE_SUITE_DECLARATIONS "")
    set(DURE_SUITE_ROWS "")
    set(sources ${TEST_SOURCES})
    foreach(noun IN LISTS TEST_UNPARSED_ARGUMENTS)
        list(APPEND sources test_${noun}.c)
        string(APPEND DURE_SUITE_DECLARATIONS "extern const dure_test_case suite_${room}_${noun}[];\n")
        string(APPEND DURE_SUITE_ROWS "    {\"${noun}\", suite_${room}_${noun}},\n")
    endforeach()
    configure_file(${PROJECT_SOURCE_DIR}/tests/support/main.c.in
                   ${CMAKE_CURRENT_BINARY_DIR}/test_${room}_main.c @ONLY)
    add_executable(test_${room} ${sources} ${CMAKE_CURRENT_BINARY_DIR}/test_${room}_main.c)
    target_link_libraries(test_${room} PRIVATE dure dure_test_support ${TEST_LIBRARIES})
    set_target_properties(test_${room} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
    foreach(noun IN LISTS TEST_UNPARSED_ARGUMENTS)
        add_test(NAME ${room}.${noun} COMMAND test_${room} ${noun})
        if(TEST_TIMEOUT)
            set_tests_properties(${room}.${noun} PROPERTIES TIMEOUT ${TEST_TIMEOUT})
        else()
            set_tests_properties(${room}.${noun} PROPERTIES TIMEOUT 120)
        endif()
    endforeach()
endfunction()

# dure_more_time_under_wine(TEST...): there all takes longer, so these tests wait longer, by one factor,
# and each as a whole may take ten minutes.
function(dure_more_time_under_wine)
    if(CMAKE_CROSSCOMPILING_EMULATOR)
        set_property(TEST ${ARGN} APPEND PROPERTY ENVIRONMENT DURE_TEST_SLACK=10)
        # The longest takes half a minute. A test whose Wine server has died waits for its time-out.
        set_tests_properties(${ARGN} PROPERTIES TIMEOUT 240)
    endif()
endfunction()

# dure_kills_under_wine(TEST...): these kill programs, and run one at a time, for Wine's server does not
# bear two deaths at once.
function(dure_kills_under_wine)
    if(CMAKE_CROSSCOMPILING_EMULATOR)
        set_tests_properties(${ARGN} PROPERTIES RESOURCE_LOCK wine_deaths)
    endif()
endfunction()
