# Windows programs from Linux: mingw-w64's gcc with Windows' own threads, linked statically, so that
# a program needs no DLL beyond the system's. Wine runs them for the tests.
set(CMAKE_SYSTEM_NAME Windows)
set(CMAKE_SYSTEM_PROCESSOR x86_64)
if(NOT CMAKE_C_COMPILER)
    set(CMAKE_C_COMPILER x86_64-w64-mingw32-gcc-win32)
endif()
set(CMAKE_RC_COMPILER x86_64-w64-mingw32-windres)
set(CMAKE_AR x86_64-w64-mingw32-ar CACHE STRING "")
set(CMAKE_RANLIB x86_64-w64-mingw32-ranlib CACHE STRING "")
set(CMAKE_EXE_LINKER_FLAGS_INIT "-static")

# Made by tools/windows/build-dependencies.sh.
if(NOT DURE_WINDOWS_DEPENDENCIES)
    if(DEFINED ENV{DURE_WINDOWS_DEPENDENCIES})
        set(DURE_WINDOWS_DEPENDENCIES "$ENV{DURE_WINDOWS_DEPENDENCIES}")
    else()
        set(DURE_WINDOWS_DEPENDENCIES "${CMAKE_CURRENT_LIST_DIR}/../build/windows-dependencies")
    endif()
    get_filename_component(DURE_WINDOWS_DEPENDENCIES "${DURE_WINDOWS_DEPENDENCIES}" ABSOLUTE)
endif()
set(DURE_WINDOWS_DEPENDENCIES "${DURE_WINDOWS_DEPENDENCIES}" CACHE PATH
    "Where the libraries built for Windows lie")
set(CMAKE_TRY_COMPILE_PLATFORM_VARIABLES DURE_WINDOWS_DEPENDENCIES)
set(CMAKE_FIND_ROOT_PATH "${DURE_WINDOWS_DEPENDENCIES}" /usr/x86_64-w64-mingw32)
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
if(NOT DEFINED CMAKE_FIND_ROOT_PATH_MODE_PACKAGE)
    set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
endif()

get_filename_component(DURE_WINE_RUN "${CMAKE_CURRENT_LIST_DIR}/../tools/windows/wine-run.sh" ABSOLUTE)
set(CMAKE_CROSSCOMPILING_EMULATOR "${DURE_WINE_RUN}")
