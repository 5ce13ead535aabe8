# Harnesses for whatever reads bytes that others wrote. In every build each one replays its corpus as a test; with
# FEDAVG_FUZZ (cmake --preset fuzz, clang) it is a libFuzzer program that also counts which lines it came to. deploy/fuzz
# builds them so and runs them.
set(FED_FUZZ_DIR ${CMAKE_CURRENT_LIST_DIR})
set(FED_FUZZ_LIST ${CMAKE_BINARY_DIR}/fuzz.list) # a line a harness: its name and the files whose lines it is to reach
file(WRITE ${FED_FUZZ_LIST} "")

if(FEDAVG_FUZZ)
  # Coverage of the code under test, not only of the harness.
  foreach(library fed_base fed_seal fed_numeric fed_data fed_model fed_config fed_link fed_proto fed_client fed_coordinator)
    get_target_property(type ${library} TYPE)
    if(type STREQUAL "STATIC_LIBRARY")
      target_compile_options(${library} PRIVATE -fsanitize=fuzzer-no-link -fprofile-instr-generate -fcoverage-mapping)
    endif()
  endforeach()
endif()

# fed_fuzz(name "files..." libraries...): fuzz_<name>.c, with its seeds in corpus/<name>/, for the decoders in these files.
function(fed_fuzz name files)
  file(APPEND ${FED_FUZZ_LIST} "${name} ${files}\n")
  add_executable(fuzz_${name} ${FED_FUZZ_DIR}/fuzz_${name}.c)
  target_link_libraries(fuzz_${name} PRIVATE ${ARGN})
  if(FEDAVG_FUZZ)
    target_compile_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
    target_link_options(fuzz_${name} PRIVATE -fsanitize=fuzzer -fprofile-instr-generate)
    add_test(NAME fuzz/${name} COMMAND fuzz_${name} -runs=0 ${FED_FUZZ_DIR}/corpus/${name})
  else()
    target_sources(fuzz_${name} PRIVATE ${FED_FUZZ_DIR}/replay.c)
    add_test(NAME fuzz/${name} COMMAND fuzz_${name} ${FED_FUZZ_DIR}/corpus/${name})
  endif()
  set_tests_properties(fuzz/${name} PROPERTIES TIMEOUT 120 ENVIRONMENT LLVM_PROFILE_FILE=/dev/null)
endfunction()

fed_fuzz(message "proto/wire.c proto/bounds.c" fed_proto)
fed_fuzz(header "proto/wire.c" fed_proto)
fed_fuzz(bulk "proto/wire.c" fed_proto)
fed_fuzz(public_line "common/seal/keys.c common/seal/line.c" fed_seal)
fed_fuzz(key_file "common/seal/key_file.c common/seal/line.c" fed_seal)
fed_fuzz(token "common/seal/token.c common/seal/enrolment.c common/seal/line.c" fed_seal)
fed_fuzz(zap "common/link/zap.c" fed_link)
fed_fuzz(safetensors "common/model/safetensors.c" fed_model)
fed_fuzz(import "common/model/import.c" fed_model)
fed_fuzz(status_report "coordinator/status_report.c" fed_coordinator)
fed_fuzz(terms "common/config/terms.c common/config/terms_model.c" fed_config)
fed_fuzz(idx "common/data/idx.c" fed_data)
fed_fuzz(csv "common/data/csv.c common/data/table.c common/data/number.c common/data/words.c" fed_data)
fed_fuzz(npy "common/data/npy.c" fed_data)
fed_fuzz(text "common/data/text.c" fed_data)
fed_fuzz(yaml "common/config/yaml.c" fed_config)
fed_fuzz(task "common/config/task.c common/config/setting.c common/config/model_section.c common/config/data_section.c common/config/endpoint.c" fed_coordinator)
fed_fuzz(client_config "common/config/client_config.c" fed_config)
fed_fuzz(roster_file "common/config/roster_file.c" fed_config)
fed_fuzz(store "coordinator/store.c coordinator/store_rows.c coordinator/sql.c coordinator/model_files.c" fed_coordinator)
fed_fuzz(intake "coordinator/intake.c coordinator/intake_queue.c coordinator/intake_slot.c" fed_coordinator)
fed_fuzz(download "client/download.c" fed_client)

# Writes the first seeds of the corpora above: fuzz_seeds tests/fuzz/corpus.
add_executable(fuzz_seeds EXCLUDE_FROM_ALL ${FED_FUZZ_DIR}/seeds.c)
target_link_libraries(fuzz_seeds PRIVATE fed_proto)
