# The whole house in one thread under a seed: the rooms of the network, the clock, the threads and the disk are these files'
# own, all others are the real ones.
file(GLOB FED_SIMULATION CONFIGURE_DEPENDS ${CMAKE_CURRENT_LIST_DIR}/*.c)
add_executable(simulate ${FED_SIMULATION})
target_link_libraries(simulate PRIVATE fed_coordinator fed_client)
fed_fail_alloc(simulate)
foreach(function fed_random_bytes fed_roster_file_load fed_round_new
                 fed_round_handle fed_round_wakeup fed_aggregate_mean fed_intake_spoilt fed_session_hear_control)
  target_link_options(simulate PRIVATE -Wl,--wrap=${function})
endforeach()
# Coroutines are not ThreadSanitizer's; there is one thread anyway.
if(NOT FEDAVG_SANITIZE MATCHES "thread")
  add_test(NAME simulation/seeds COMMAND simulate)
  set_tests_properties(simulation/seeds PROPERTIES TIMEOUT 1500 COST 900)
  # Each allocation of a short run fails, once and for ever; by default every seventh.
  add_test(NAME simulation/no_memory COMMAND simulate --no-memory)
  set_tests_properties(simulation/no_memory PROPERTIES TIMEOUT 1500)
  add_test(NAME simulation/versions COMMAND simulate --versions)
  if(FEDAVG_SANITIZE)
    set_tests_properties(simulation/seeds PROPERTIES ENVIRONMENT FEDAVG_SEEDS=200)
  endif()
endif()
