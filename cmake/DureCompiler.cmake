# How every file of dure is compiled.
set(CMAKE_C_STANDARD 11)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS OFF)
set(CMAKE_C_VISIBILITY_PRESET hidden)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

if(NOT CMAKE_BUILD_TYPE)
    set(CMAKE_BUILD_TYPE Release CACHE STRING "" FORCE)
endif()

# Inherited by each target of dure through the interface library dure_flags.
add_library(dure_flags INTERFACE)
if(CMAKE_C_COMPILER_FRONTEND_VARIANT STREQUAL "MSVC" OR MSVC)
    # cl and clang-cl. cl has C11's atomics behind a switch.
    target_compile_options(dure_flags INTERFACE /W4 /WX /utf-8)
    if(CMAKE_C_COMPILER_ID STREQUAL "MSVC")
        target_compile_options(dure_flags INTERFACE /experimental:c11atomics)
    endif()
    target_compile_definitions(dure_flags INTERFACE _CRT_SECURE_NO_WARNINGS)
else()
    target_compile_options(dure_flags INTERFACE
        -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wcast-qual -Wwrite-strings
        -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition -Wpointer-arith
        -Wundef -Wvla -Wformat=2 -Wswitch-enum -Wimplicit-fallthrough -Wnull-dereference)
    if(DURE_WARNINGS_ARE_ERRORS)
        target_compile_options(dure_flags INTERFACE -Werror)
    endif()
    if(MINGW)
        # Its isfinite and signbit convert to float in a branch that is never taken.
        target_compile_options(dure_flags INTERFACE -Wno-float-conversion)
    endif()
endif()
target_compile_definitions(dure_flags INTERFACE
    $<$<CONFIG:Debug>:DURE_DEBUG=1> $<$<NOT:$<CONFIG:Debug>>:DURE_DEBUG=0>)
if(WIN32)
    # Windows 10, the oldest that dure is for.
    target_compile_definitions(dure_flags INTERFACE _WIN32_WINNT=0x0A00)
    if(UTHASH_INCLUDE_DIR)
        target_include_directories(dure_flags SYSTEM INTERFACE ${UTHASH_INCLUDE_DIR})
    endif()
else()
    # POSIX.1-2008 and Linux system calls under -std=c11.
    target_compile_definitions(dure_flags INTERFACE _GNU_SOURCE)
endif()
target_include_directories(dure_flags INTERFACE
    $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/framework>
    $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}>)
if(DURE_SANITIZE)
    target_compile_options(dure_flags INTERFACE
        -fsanitize=${DURE_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer -g)
    target_link_options(dure_flags INTERFACE -fsanitize=${DURE_SANITIZE})
endif()
