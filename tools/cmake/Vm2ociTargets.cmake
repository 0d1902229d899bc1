# vm2oci_room(NAME SOURCES ... [LINK ...] [PRIVATE_LINK ...])
# A room of the house: the static library vm2oci_NAME. Includes are written from the top of the tree.
function(vm2oci_room name)
    cmake_parse_arguments(ROOM "" "" "SOURCES;LINK;PRIVATE_LINK" ${ARGN})
    add_library(vm2oci_${name} STATIC ${ROOM_SOURCES})
    target_include_directories(vm2oci_${name} PUBLIC ${PROJECT_SOURCE_DIR})
    target_link_libraries(vm2oci_${name} PUBLIC ${ROOM_LINK} PRIVATE ${ROOM_PRIVATE_LINK})
    if(CMAKE_UNITY_BUILD AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
        # The types of a file look as if a header had them.
        target_compile_options(vm2oci_${name} PRIVATE -Wno-subobject-linkage)
    endif()
endfunction()

# vm2oci_unit_test(NAME SOURCES ... LINK ...)
# One Catch2 executable; CTest runs it as unit/NAME. The target unit_tests builds them all.
add_custom_target(unit_tests)
function(vm2oci_unit_test name)
    cmake_parse_arguments(UNIT "" "" "SOURCES;LINK" ${ARGN})
    add_executable(unit_${name} ${UNIT_SOURCES})
    target_link_libraries(unit_${name} PRIVATE vm2oci_test_main ${UNIT_LINK})
    # Each test file has small helpers, and they have the same names.
    set_target_properties(unit_${name} PROPERTIES UNITY_BUILD OFF)
    if(CMAKE_UNITY_BUILD)
        target_precompile_headers(unit_${name} REUSE_FROM vm2oci_test_headers)
        set_target_properties(unit_${name} PROPERTIES POSITION_INDEPENDENT_CODE OFF) # else -fPIE here, -fPIC there
        if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
            target_compile_options(unit_${name} PRIVATE -fpch-preprocess) # as ccache asks for
        endif()
    endif()
    add_dependencies(unit_tests unit_${name})
    add_test(NAME unit/${name} COMMAND unit_${name} --order rand --rng-seed 1)
    set_tests_properties(unit/${name} PROPERTIES LABELS unit TIMEOUT 900)
endfunction()
