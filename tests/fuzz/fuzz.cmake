# Harnesses for whatever reads bytes that others wrote. In every build each one replays its corpus as a test; with
# FEDAVG_FUZZ (cmake --preset fuzz, clang) it is a libFuzzer program:
#
#   build/fuzz/tests/fuzz_message -max_total_time=60 -max_len=65537 /tmp/found tests/fuzz/corpus/message
set(FED_FUZZ_DIR ${CMAKE_CURRENT_LIST_DIR})

if(FEDAVG_FUZZ)
  # Coverage of the code under test, not only of the harness.
  foreach(library fed_base fed_seal fed_numeric fed_data fed_model fed_config fed_link fed_proto fed_client fed_coordinator)
    get_target_property(type ${library} TYPE)
    if(type STREQUAL "STATIC_LIBRARY")
      target_compile_options(${library} PRIVATE -fsanitize=fuzzer-no-link)
    endif()
  endforeach()
endif()

# fed_fuzz(name libraries...): fuzz_<name>.c, with its seeds in corpus/<name>/.
function(fed_fuzz name)
  add_executable(fuzz_${name} ${FED_FUZZ_DIR}/fuzz_${name}.c)
  target_link_libraries(fuzz_${name} PRIVATE ${ARGN})
  if(FEDAVG_FUZZ)
    target_compile_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
    target_link_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
    add_test(NAME fuzz/${name} COMMAND fuzz_${name} -runs=0 ${FED_FUZZ_DIR}/corpus/${name})
  else()
    target_sources(fuzz_${name} PRIVATE ${FED_FUZZ_DIR}/replay.c)
    add_test(NAME fuzz/${name} COMMAND fuzz_${name} ${FED_FUZZ_DIR}/corpus/${name})
  endif()
  set_tests_properties(fuzz/${name} PROPERTIES TIMEOUT 120)
endfunction()

fed_fuzz(message fed_proto)
fed_fuzz(header fed_proto)
fed_fuzz(bulk fed_proto)
fed_fuzz(public_line fed_seal)
fed_fuzz(key_file fed_seal)
fed_fuzz(zap fed_link)
fed_fuzz(safetensors fed_model)
fed_fuzz(status_report fed_coordinator)
fed_fuzz(terms fed_config)
fed_fuzz(idx fed_data)
fed_fuzz(csv fed_data)
fed_fuzz(npy fed_data)
fed_fuzz(text fed_data)

# Writes the first seeds of the corpora above: fuzz_seeds tests/fuzz/corpus.
add_executable(fuzz_seeds EXCLUDE_FROM_ALL ${FED_FUZZ_DIR}/seeds.c)
target_link_libraries(fuzz_seeds PRIVATE fed_proto)
