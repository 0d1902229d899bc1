# Build switches and the warning set that every target of this project gets.
# Inside of another project only the library is wanted.
option(VM2OCI_BUILD_TESTS "Build the tests" ${PROJECT_IS_TOP_LEVEL})
option(VM2OCI_INSTALL "Install what is built" ${PROJECT_IS_TOP_LEVEL})
option(VM2OCI_BUILD_FUZZERS "Build the libFuzzer targets (needs clang)" OFF)
option(VM2OCI_WARNINGS_AS_ERRORS "Treat compiler warnings as errors" OFF)
set(VM2OCI_UNIT_TESTS_FROM "" CACHE PATH "Folder of another build whose unit tests CTest runs, which are then not built here")
set(VM2OCI_SANITIZE "" CACHE STRING "Sanitizers for every target: a list for -fsanitize=, such as address,undefined")
option(VM2OCI_COVERAGE "Instrument for gcov" OFF)

# For packages: names of targets (PkgConfig::re2) whose archives go into what is built, and fmt's headers instead of fmt.
set(VM2OCI_FEW_LIBRARIES "" CACHE STRING "Libraries from outside that become part of what is built: a list of targets")
option(VM2OCI_STATIC_RUNTIME "Make the C++ runtime a part of what is built" OFF)

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

find_program(VM2OCI_CCACHE ccache)
if(VM2OCI_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
    # One clone finds what another compiled: names below the source are relative, and -ffile-prefix-map takes the folder
    # out of what is compiled.
    set(VM2OCI_LAUNCHER "${CMAKE_COMMAND}" -E env "CCACHE_BASEDIR=${PROJECT_SOURCE_DIR}" CCACHE_NOHASHDIR=1
        CCACHE_SLOPPINESS=pch_defines,time_macros "${VM2OCI_CCACHE}")
    set(CMAKE_C_COMPILER_LAUNCHER ${VM2OCI_LAUNCHER})
    set(CMAKE_CXX_COMPILER_LAUNCHER ${VM2OCI_LAUNCHER})
endif()

add_compile_options(-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wnon-virtual-dtor
                    -Woverloaded-virtual -Wnull-dereference -Wformat=2 -ffile-prefix-map=${PROJECT_SOURCE_DIR}=.)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # GCC 12 reports these inside the standard library itself when optimising; clang-tidy covers our own code.
    add_compile_options(-Wno-null-dereference -Wno-stringop-overflow -Wno-array-bounds -Wno-restrict -Wno-maybe-uninitialized)
endif()
if(VM2OCI_WARNINGS_AS_ERRORS)
    add_compile_options(-Werror)
endif()
if(VM2OCI_SANITIZE)
    if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
        # A false alarm inside <regex> and <optional> when GCC 12 instruments them.
        add_compile_options(-Wno-maybe-uninitialized)
    endif()
    # Optionals without a value, and places outside of spans, strings and vectors.
    add_compile_definitions(_GLIBCXX_ASSERTIONS)
    add_compile_options(-fsanitize=${VM2OCI_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
    add_link_options(-fsanitize=${VM2OCI_SANITIZE})
endif()
if(VM2OCI_STATIC_RUNTIME)
    add_link_options(-static-libstdc++ -static-libgcc)
endif()
if(VM2OCI_COVERAGE)
    add_compile_options(--coverage)
    add_link_options(--coverage)
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 15)
    include_directories(SYSTEM BEFORE "${PROJECT_SOURCE_DIR}/tests/fuzz/clang14")
endif()
