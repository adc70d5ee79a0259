# dure_schema(TARGET file.dure...)
# Turns schemas into C at build time. TARGET gets their encoders and calls and finds S.schema.h and
# S.role.h, S being the service's name. A TARGET that does not exist yet becomes an object library
# made of them. Works in dure's own tree and from an installed one; DURE_SCHEMA_TOOL may name another
# generator.
function(dure_schema target)
    set(tool "${DURE_SCHEMA_TOOL}")
    foreach(candidate
            "${CMAKE_CURRENT_FUNCTION_LIST_DIR}/dure-schema.py"
            "${CMAKE_CURRENT_FUNCTION_LIST_DIR}/../tools/dure-schema.py"
            "${CMAKE_CURRENT_FUNCTION_LIST_DIR}/../../../bin/dure-schema"
            "${CMAKE_CURRENT_FUNCTION_LIST_DIR}/../../../../bin/dure-schema")
        if(NOT tool AND EXISTS "${candidate}")
            get_filename_component(tool "${candidate}" ABSOLUTE)
        endif()
    endforeach()
    if(NOT tool)
        message(FATAL_ERROR "dure-schema is neither beside DureSchema.cmake nor in bin; set DURE_SCHEMA_TOOL")
    endif()
    if(NOT Python3_EXECUTABLE)
        find_package(Python3 3.9 REQUIRED COMPONENTS Interpreter)
    endif()

    set(out "${CMAKE_CURRENT_BINARY_DIR}/schema")
    set(sources "")
    foreach(file IN LISTS ARGN)
        get_filename_component(path "${file}" ABSOLUTE)
        get_filename_component(stem "${file}" NAME_WE)
        # The service's name is that of the generated files; a change of it configures again.
        file(STRINGS "${path}" line REGEX "^[ \t]*service[ \t]+[a-z][a-z0-9_]*" LIMIT_COUNT 1)
        if(NOT line MATCHES "service[ \t]+([a-z][a-z0-9_]*)")
            message(FATAL_ERROR "${path}: no line says which service this is, such as: service greeter 100;")
        endif()
        set(service "${CMAKE_MATCH_1}")
        set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${path}")
        set(accepted "")
        get_filename_component(folder "${path}" DIRECTORY)
        if(EXISTS "${folder}/accepted/${stem}.json")
            set(accepted "${folder}/accepted/${stem}.json")
        endif()
        set(generated "${out}/${service}.schema.h" "${out}/${service}.schema.c" "${out}/${service}.role.h")
        add_custom_command(OUTPUT ${generated}
            COMMAND ${Python3_EXECUTABLE} "${tool}" --out "${out}" "${path}"
            DEPENDS "${path}" "${tool}" ${accepted}
            COMMENT "Schema of ${service}"
            VERBATIM)
        list(APPEND sources ${generated})
    endforeach()

    if(NOT TARGET ${target})
        add_library(${target} OBJECT ${sources})
        target_include_directories(${target} PUBLIC "$<BUILD_INTERFACE:${out}>")
    else()
        target_sources(${target} PRIVATE ${sources})
        target_include_directories(${target} PRIVATE "${out}")
    endif()
endfunction()
