# The libraries that dure stands on. tools/install-packages.sh installs them on Debian,
# tools/windows/build-dependencies.sh builds them there for Windows, and on Windows vcpkg.json
# lists them for vcpkg.
find_package(PkgConfig)

# What of the system itself is linked: threads, the functions of math.h, random numbers.
if(WIN32)
    set(DURE_SYSTEM_LIBRARIES bcrypt)
    set(DURE_MATH "")
else()
    find_package(Threads REQUIRED)
    set(DURE_SYSTEM_LIBRARIES Threads::Threads)
    set(DURE_MATH m)
endif()

# dure_library(NAME PKG-CONFIG-NAME HEADER LIBRARY-NAME...): the variable DURE_NAME names the target of
# a library that has no CMake package of one name everywhere. pkg-config knows it on Linux; on
# Windows, where there is none, header and library are looked for.
function(dure_library name module header)
    if(NOT WIN32)
        pkg_check_modules(${name} REQUIRED IMPORTED_TARGET GLOBAL ${module})
        set(DURE_${name} PkgConfig::${name} PARENT_SCOPE)
        return()
    endif()
    find_path(${name}_INCLUDE_DIR ${header} REQUIRED)
    find_library(${name}_LIBRARY NAMES ${ARGN} REQUIRED)
    add_library(${module} UNKNOWN IMPORTED GLOBAL)
    set_target_properties(${module} PROPERTIES
        IMPORTED_LOCATION ${${name}_LIBRARY}
        INTERFACE_INCLUDE_DIRECTORIES ${${name}_INCLUDE_DIR})
    set(DURE_${name} ${module} PARENT_SCOPE)
endfunction()

# msgpack-c changed its CMake package name between versions.
find_package(msgpack-c QUIET)
if(TARGET msgpack-c)
    set(DURE_MSGPACK msgpack-c)
else()
    find_package(msgpack QUIET)
    if(TARGET msgpackc)
        set(DURE_MSGPACK msgpackc)
    else()
        dure_library(MSGPACK msgpack msgpack.h msgpackc msgpack-c)
    endif()
endif()

dure_library(CJSON libcjson cjson/cJSON.h cjson)
dure_library(XXHASH libxxhash xxhash.h xxhash)
dure_library(UTF8PROC libutf8proc utf8proc.h utf8proc utf8proc_static)
if(WIN32)
    # Its header takes the functions from a DLL where this is not said.
    set_target_properties(libutf8proc PROPERTIES INTERFACE_COMPILE_DEFINITIONS UTF8PROC_STATIC)
endif()
if(WIN32)
    set(OPENSSL_USE_STATIC_LIBS ON)
    # Headers alone; Linux has them beside its own.
    find_path(UTHASH_INCLUDE_DIR uthash.h REQUIRED)
endif()
find_package(OpenSSL REQUIRED COMPONENTS Crypto)
find_package(SQLite3 REQUIRED)
if(CMAKE_SYSTEM_NAME STREQUAL "Linux")
    pkg_check_modules(URING REQUIRED IMPORTED_TARGET liburing)
endif()
if(DURE_TESTS)
    find_path(CUNIT_INCLUDE_DIR CUnit/CUnit.h REQUIRED)
    find_library(CUNIT_LIBRARY cunit REQUIRED)
endif()
# The system's own Python comes first: it is the one that has Debian's python3-msgpack.
if(NOT DEFINED Python3_EXECUTABLE AND EXISTS /usr/bin/python3)
    set(Python3_EXECUTABLE /usr/bin/python3)
endif()
find_package(Python3 REQUIRED COMPONENTS Interpreter)
if(DURE_TESTS)
    execute_process(COMMAND ${Python3_EXECUTABLE} -c "import msgpack"
                    RESULT_VARIABLE without_msgpack OUTPUT_QUIET ERROR_QUIET)
    if(without_msgpack)
        message(FATAL_ERROR "${Python3_EXECUTABLE} has no msgpack: tools/install-packages.sh installs it")
    endif()
endif()
