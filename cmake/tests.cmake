# The tests, as far as their folders exist:
#   tests/unit/**/NAME_test.c   one program each, on the static libraries (tests/unit/sim on the simulator's too)
#   tests/fuzz/NAME_fuzz.c      preset fuzz: a libFuzzer program; else a program that runs the corpus as a test
#   tests/tidy                  the include rule and its like
#   tests/{pipeline,cli,interop,reliability}/test_NAME.py   one ctest each, pytest of .deps/venv
#   tests/interop/NAME.c        a program the test beside it runs: tests/NAME below the build's folder
# pytest gets TICKLAKE_BIN, TICKLAKE_LIB (this build's program and library), TICKLAKE_BUILD, TICKLAKE_SOURCE.
enable_testing()

set(sanitizer_environment
  "ASAN_OPTIONS=detect_leaks=1:abort_on_error=1:detect_stack_use_after_return=1"
  "UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1"
  "TSAN_OPTIONS=ignore_noninstrumented_modules=1:halt_on_error=1:second_deadlock_stack=1")
set(test_environment ${sanitizer_environment}
  "TICKLAKE_BIN=${CMAKE_BINARY_DIR}/ticklake" "TICKLAKE_LIB=${CMAKE_BINARY_DIR}/libticklake.so"
  "TICKLAKE_BUILD=${CMAKE_BINARY_DIR}" "TICKLAKE_SOURCE=${CMAKE_SOURCE_DIR}"
  "LLVM_PROFILE_FILE=${CMAKE_BINARY_DIR}/profiles/%4m.profraw" "PYTHONDONTWRITEBYTECODE=1"
  "TICKLAKE_RELIABILITY_SCALE=0.05")
set(slow_factor 1)
if(TL_SANITIZE)
  set(slow_factor 5)
endif()

# tl_test(NAME SECONDS LABEL COMMAND...)
function(tl_test name seconds label)
  math(EXPR timeout "${seconds} * ${slow_factor}")
  add_test(NAME ${name} COMMAND ${ARGN} WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
  set_tests_properties(${name} PROPERTIES TIMEOUT ${timeout} LABELS ${label} ENVIRONMENT "${test_environment}")
endfunction()

# The name of a test is its path below tests/ without the suffix: unit/plan/split_test.c -> unit.plan.split
function(tl_test_name out source suffix)
  file(RELATIVE_PATH path ${CMAKE_SOURCE_DIR}/tests ${source})
  string(REGEX REPLACE "${suffix}$" "" path ${path})
  string(REPLACE "/" "." path ${path})
  set(${out} ${path} PARENT_SCOPE)
endfunction()

if(TL_TESTS)
  pkg_check_modules(cmocka REQUIRED IMPORTED_TARGET cmocka)
  tl_sources(unit_sources tests/unit)
  list(FILTER unit_sources INCLUDE REGEX "_test\\.c$")
  foreach(source ${unit_sources})
    tl_test_name(name ${source} "_test\\.c")
    add_executable(${name} ${source})
    target_include_directories(${name} PRIVATE ${CMAKE_SOURCE_DIR})
    target_compile_definitions(${name} PRIVATE "TL_SOURCE_DIR=\"${CMAKE_SOURCE_DIR}\"")
    target_link_libraries(${name} PRIVATE tl_ours tl_engine PkgConfig::cmocka)
    if(name MATCHES "^unit\\.sim\\.")
      target_link_libraries(${name} PRIVATE tl_sim)
    endif()
    set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
    tl_test(${name} 120 unit ${name})
  endforeach()

  tl_sources(helper_sources tests/interop)
  foreach(source ${helper_sources})
    get_filename_component(name ${source} NAME_WE)
    add_executable(${name} ${source})
    target_link_libraries(${name} PRIVATE tl_ours tl_engine)
    set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  endforeach()

  set(python ${CMAKE_SOURCE_DIR}/.deps/venv/bin/python)
  if(NOT EXISTS ${python})
    set(python /usr/bin/python3)
  endif()
  tl_test(tidy 120 tidy ${python} tests/tidy/tidy.py)
  tl_test(tidy.exports 120 tidy ${python} tests/tidy/exports.py $<TARGET_FILE:ticklake>)
  tl_test(tidy.self 120 tidy ${python} tests/tidy/test_tidy.py)
  if(TARGET ticklake_cli)
    file(GLOB_RECURSE files CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/tests/test_*.py")
    foreach(file ${files})
      file(RELATIVE_PATH path ${CMAKE_SOURCE_DIR}/tests ${file})
      string(REGEX MATCH "^[^/]+" folder ${path})
      if(folder MATCHES "^(cli|pipeline|interop|reliability)$")
        string(REGEX REPLACE "/test_(.*)\\.py$" ".\\1" name ${path})
        tl_test(${name} 900 ${folder} ${python} -m pytest -q -p no:cacheprovider tests/${path})
      endif()
    endforeach()
  endif()
endif()

add_custom_target(fuzzers)
tl_sources(fuzz_sources tests/fuzz)
list(FILTER fuzz_sources INCLUDE REGEX "_fuzz\\.c$")
foreach(source ${fuzz_sources})
  get_filename_component(name ${source} NAME_WE)
  set(corpus ${CMAKE_SOURCE_DIR}/tests/fuzz/corpus/${name})
  add_executable(${name} ${source})
  target_include_directories(${name} PRIVATE ${CMAKE_SOURCE_DIR})
  target_link_libraries(${name} PRIVATE tl_ours tl_engine)
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/fuzz)
  add_dependencies(fuzzers ${name})
  if(TL_FUZZ)
    target_link_options(${name} PRIVATE -fsanitize=fuzzer)
  else()
    target_sources(${name} PRIVATE cmake/fuzz_main.c)
    if(NOT EXISTS ${corpus})
      set(corpus "")
    endif()
    tl_test(fuzz.${name} 120 fuzz ${name} ${corpus})
  endif()
endforeach()
