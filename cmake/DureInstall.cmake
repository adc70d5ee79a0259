# cmake --install: headers, libdure.a, the CMake package, the pkg-config file, the generator with
# the schemas, and the programs. Included last, when every target is known.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

# What libdure.a needs beside itself: each library of a room, by the name that pkg-config has for it.
set(DURE_PC_REQUIRES "")
set(DURE_PC_LIBS "")
get_property(rooms GLOBAL PROPERTY DURE_ROOMS)
foreach(room IN LISTS rooms)
    get_target_property(libraries ${room} LINK_LIBRARIES)
    foreach(library IN LISTS libraries)
        if(library MATCHES "^dure_" OR library STREQUAL "Threads::Threads")
            continue()
        elseif(library STREQUAL "OpenSSL::Crypto")
            list(APPEND DURE_PC_REQUIRES libcrypto)
        elseif(library STREQUAL "SQLite::SQLite3")
            list(APPEND DURE_PC_REQUIRES sqlite3)
        elseif(library STREQUAL "${DURE_MSGPACK}")
            list(APPEND DURE_PC_REQUIRES msgpack)
        elseif(library STREQUAL "${DURE_CJSON}")
            list(APPEND DURE_PC_REQUIRES libcjson)
        elseif(library STREQUAL "${DURE_XXHASH}")
            list(APPEND DURE_PC_REQUIRES libxxhash)
        elseif(library STREQUAL "${DURE_UTF8PROC}")
            list(APPEND DURE_PC_REQUIRES libutf8proc)
        elseif(library STREQUAL "PkgConfig::URING")
            list(APPEND DURE_PC_REQUIRES liburing)
        elseif(library MATCHES "^[a-z0-9_]+$")
            list(APPEND DURE_PC_LIBS -l${library})
        else()
            message(FATAL_ERROR "DureInstall.cmake does not know what ${library} of ${room} is to a user")
        endif()
    endforeach()
endforeach()
list(REMOVE_DUPLICATES DURE_PC_REQUIRES)
list(REMOVE_DUPLICATES DURE_PC_LIBS)
list(JOIN DURE_PC_REQUIRES " " DURE_PC_REQUIRES)
list(JOIN DURE_PC_LIBS " " DURE_PC_LIBS)

install(TARGETS dure ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY ${PROJECT_SOURCE_DIR}/framework/
        DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/dure
        FILES_MATCHING PATTERN "*.h"
        PATTERN "*_impl.h" EXCLUDE PATTERN "*_posix.h" EXCLUDE PATTERN "*_win32.h" EXCLUDE)

# The harness for tests of clusters, as <harness/harness.h> and dure::harness.
install(TARGETS dure_harness ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(FILES ${PROJECT_SOURCE_DIR}/tests/harness/harness.h
              ${PROJECT_SOURCE_DIR}/tests/harness/fault_proxy.h
        DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/dure/harness)

set(DURE_PACKAGE_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/dure)
set(DURE_SHARE_DIR ${CMAKE_INSTALL_DATADIR}/dure)
set(DURE_INCLUDE_DIR ${CMAKE_INSTALL_INCLUDEDIR}/dure)
set(DURE_ARCHIVE_DIR ${CMAKE_INSTALL_LIBDIR})
configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/dureConfig.cmake.in
                              ${PROJECT_BINARY_DIR}/dureConfig.cmake
                              INSTALL_DESTINATION ${DURE_PACKAGE_DIR}
                              PATH_VARS DURE_INCLUDE_DIR DURE_ARCHIVE_DIR DURE_SHARE_DIR
                              NO_CHECK_REQUIRED_COMPONENTS_MACRO)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/dureConfigVersion.cmake
                                 COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/dureConfig.cmake ${PROJECT_BINARY_DIR}/dureConfigVersion.cmake
              ${PROJECT_SOURCE_DIR}/cmake/DureSchema.cmake
        DESTINATION ${DURE_PACKAGE_DIR})

# The prefix is told from where the file lies, so that an installed tree may be moved. Debian's
# libdir has a folder of its own for the architecture, hence the count of steps up.
file(RELATIVE_PATH DURE_PC_UP /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
string(REGEX REPLACE "/$" "" DURE_PC_UP "${DURE_PC_UP}")
configure_file(${PROJECT_SOURCE_DIR}/cmake/dure.pc.in ${PROJECT_BINARY_DIR}/dure.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/dure.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

# Beside DureSchema.cmake, where that looks first.
install(PROGRAMS ${PROJECT_SOURCE_DIR}/tools/dure-schema.py DESTINATION ${DURE_PACKAGE_DIR})
foreach(folder proto config)
    if(EXISTS ${PROJECT_SOURCE_DIR}/${folder})
        install(DIRECTORY ${PROJECT_SOURCE_DIR}/${folder} DESTINATION ${DURE_SHARE_DIR})
    endif()
endforeach()

# Every program of nodes/ and tools/, whatever folder below declares it.
function(dure_install_programs folder)
    get_property(targets DIRECTORY ${folder} PROPERTY BUILDSYSTEM_TARGETS)
    foreach(target IN LISTS targets)
        get_target_property(type ${target} TYPE)
        if(type STREQUAL "EXECUTABLE")
            install(TARGETS ${target} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
        endif()
    endforeach()
    get_property(below DIRECTORY ${folder} PROPERTY SUBDIRECTORIES)
    foreach(subfolder IN LISTS below)
        dure_install_programs(${subfolder})
    endforeach()
endfunction()
dure_install_programs(${PROJECT_SOURCE_DIR}/nodes)
dure_install_programs(${PROJECT_SOURCE_DIR}/tools)
dure_install_programs(${PROJECT_SOURCE_DIR}/tests/harness)
