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
target_compile_options(dure_flags INTERFACE
    -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wcast-qual -Wwrite-strings
    -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition -Wpointer-arith
    -Wundef -Wvla -Wformat=2 -Wswitch-enum -Wimplicit-fallthrough -Wnull-dereference -Werror)
target_compile_definitions(dure_flags INTERFACE
    $<$<CONFIG:Debug>:DURE_DEBUG=1> $<$<NOT:$<CONFIG:Debug>>:DURE_DEBUG=0>)
if(NOT WIN32)
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
