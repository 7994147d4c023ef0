# How our own code is compiled. Every target of ours links tl_ours; third-party code does not.
set(CMAKE_C_STANDARD 17)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS OFF)
set(CMAKE_C_VISIBILITY_PRESET hidden)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR})
set(CMAKE_LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR})

add_library(tl_ours INTERFACE)
target_compile_definitions(tl_ours INTERFACE _GNU_SOURCE $<$<BOOL:${TL_FAULTS}>:TL_FAULTS=1>)
target_compile_options(tl_ours INTERFACE -Wall -Wextra -Wconversion -Wshadow -Wstrict-prototypes
  $<$<BOOL:${TL_WERROR}>:-Werror>)

# Sanitizers and coverage hold for everything that is compiled here, so that third-party C is watched too.
if(TL_SANITIZE)
  add_compile_options(-fsanitize=${TL_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${TL_SANITIZE})
endif()
if(TL_COVERAGE)
  target_compile_options(tl_ours INTERFACE -fprofile-instr-generate -fcoverage-mapping)
  add_link_options(-fprofile-instr-generate)
endif()
if(TL_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()

if(CMAKE_BUILD_TYPE STREQUAL "Release")
  include(CheckIPOSupported)
  check_ipo_supported(RESULT ipo_works OUTPUT ipo_reason LANGUAGES C)
  set(CMAKE_INTERPROCEDURAL_OPTIMIZATION ${ipo_works})
endif()
