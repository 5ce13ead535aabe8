# Real processes on this machine: a Python script (standard library only) a claim, all on tests/house/house.py.
find_package(Python3 3.9 COMPONENTS Interpreter)
set(FED_HOUSE_DIR ${CMAKE_CURRENT_LIST_DIR})

# fed_house(name [KEY=value...]): tests/house/<name>.py, with these in its environment.
function(fed_house name)
  if(Python3_FOUND AND TARGET fedavg AND TARGET fedavg-coordinator AND TARGET fedavg-client)
    add_test(NAME house/${name} COMMAND ${Python3_EXECUTABLE} -B ${FED_HOUSE_DIR}/${name}.py)
    set_tests_properties(house/${name} PROPERTIES TIMEOUT 300 SKIP_RETURN_CODE 77 ENVIRONMENT
                         "FEDAVG_BIN=$<TARGET_FILE_DIR:fedavg>;FEDAVG_REPLAY=$<TARGET_FILE:replay_run>;TSAN_OPTIONS=suppressions=${CMAKE_CURRENT_SOURCE_DIR}/tsan.supp;${ARGN}")
  endif()
endfunction()

add_executable(replay_run ${FED_HOUSE_DIR}/replay_run.c)
target_link_libraries(replay_run PRIVATE fed_coordinator fed_client)

fed_house(daemons)
fed_house(roster_live)
fed_house(refusals)
fed_house(privileges)
fed_house(edge)
fed_house(status)
fed_house(learns)
fed_house(formats)
fed_house(tables)
fed_house(blas)

add_executable(reversed_node ${FED_HOUSE_DIR}/reversed_node.c)
target_link_libraries(reversed_node PRIVATE fed_client)
fed_house(same_bits FEDAVG_REVERSED_NODE=$<TARGET_FILE:reversed_node>)
fed_house(resume)

add_executable(lying_node ${FED_HOUSE_DIR}/lying_node.c)
target_link_libraries(lying_node PRIVATE fed_client)
fed_house(lying FEDAVG_LYING_NODE=$<TARGET_FILE:lying_node>)

add_executable(attacker ${CMAKE_CURRENT_SOURCE_DIR}/faults/attacker.c)
target_link_libraries(attacker PRIVATE fed_link)
fed_house(nftables)
fed_house(descriptors FEDAVG_ATTACKER=$<TARGET_FILE:attacker>)
fed_house(hostile FEDAVG_LYING_NODE=$<TARGET_FILE:lying_node> FEDAVG_ATTACKER=$<TARGET_FILE:attacker>)
set_tests_properties(house/hostile PROPERTIES TIMEOUT 1200) # with FEDAVG_LONG=1

# Sanitizers want to be the first library of a process, so that nothing can be preloaded there.
if(NOT FEDAVG_SANITIZE)
  add_library(kill_at MODULE ${CMAKE_CURRENT_SOURCE_DIR}/faults/kill_at.c)
  target_link_libraries(kill_at PRIVATE ${CMAKE_DL_LIBS})
  set(FED_KILL_AT FEDAVG_KILL_AT=$<TARGET_FILE:kill_at>)
  add_library(lost_writes MODULE ${CMAKE_CURRENT_SOURCE_DIR}/faults/lost_writes.c)
  target_link_libraries(lost_writes PRIVATE ${CMAKE_DL_LIBS} Threads::Threads)
  set(FED_LOST_WRITES FEDAVG_LOST_WRITES=$<TARGET_FILE:lost_writes>)
  add_library(fail_at MODULE ${CMAKE_CURRENT_SOURCE_DIR}/faults/fail_at.c)
  target_link_libraries(fail_at PRIVATE ${CMAKE_DL_LIBS})
  set(FED_FAIL_AT FEDAVG_FAIL_AT=$<TARGET_FILE:fail_at>)
  add_library(clock MODULE ${CMAKE_CURRENT_SOURCE_DIR}/faults/clock.c)
  target_link_libraries(clock PRIVATE ${CMAKE_DL_LIBS})
  set(FED_CLOCK FEDAVG_CLOCK=$<TARGET_FILE:clock>)
  set(FED_FAULTS ${FED_KILL_AT} ${FED_LOST_WRITES} ${FED_FAIL_AT})
endif()
add_executable(store_writer ${FED_HOUSE_DIR}/store_writer.c)
target_link_libraries(store_writer PRIVATE fed_coordinator)
fed_house(hygiene ${FED_KILL_AT})
fed_house(coordinator_killed ${FED_KILL_AT})
fed_house(quarantine FEDAVG_LYING_NODE=$<TARGET_FILE:lying_node>)
fed_house(rollback FEDAVG_LYING_NODE=$<TARGET_FILE:lying_node> ${FED_KILL_AT})
fed_house(node_killed ${FED_KILL_AT})
set(FED_LONG_TESTS house/clients_killed house/coordinator_killed house/node_killed house/damaged house/disk_fails house/power_cut)
fed_house(clients_killed)
fed_house(clock ${FED_CLOCK})
fed_house(damaged)
fed_house(disk_fails ${FED_FAULTS} FEDAVG_STORE_WRITER=$<TARGET_FILE:store_writer>)
fed_house(power_cut ${FED_FAULTS} FEDAVG_STORE_WRITER=$<TARGET_FILE:store_writer>)
if(Python3_FOUND AND TARGET fedavg AND TARGET fedavg-coordinator AND TARGET fedavg-client)
  set_tests_properties(${FED_LONG_TESTS} PROPERTIES TIMEOUT 1800) # with FEDAVG_LONG=1
endif()

# A bad network, packet by packet.
add_executable(link ${CMAKE_CURRENT_SOURCE_DIR}/faults/link.c)
fed_house(networks FEDAVG_LINK=$<TARGET_FILE:link>)
