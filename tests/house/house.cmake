# Real processes on this machine: a Python script (standard library only) a claim, all on tests/house/house.py.
find_package(Python3 3.9 COMPONENTS Interpreter)
set(FED_HOUSE_DIR ${CMAKE_CURRENT_LIST_DIR})

# fed_house(name [KEY=value...]): tests/house/<name>.py, with these in its environment.
function(fed_house name)
  if(Python3_FOUND AND TARGET fedavg AND TARGET fedavg-coordinator AND TARGET fedavg-client)
    add_test(NAME house/${name} COMMAND ${Python3_EXECUTABLE} -B ${FED_HOUSE_DIR}/${name}.py)
    set_tests_properties(house/${name} PROPERTIES TIMEOUT 1500 SKIP_RETURN_CODE 77 ENVIRONMENT
                         "FEDAVG_BIN=$<TARGET_FILE_DIR:fedavg>;TSAN_OPTIONS=history_size=7:suppressions=${CMAKE_CURRENT_SOURCE_DIR}/tsan.supp;${ARGN}")
  endif()
endfunction()

fed_house(daemons)
add_executable(embedded ${FED_HOUSE_DIR}/embedded.c)
target_include_directories(embedded PRIVATE ${CMAKE_SOURCE_DIR})
target_link_libraries(embedded PRIVATE fedavg_client_shared m)
fed_house(embed FEDAVG_EMBEDDED=$<TARGET_FILE:embedded> FEDAVG_BUILD=${CMAKE_BINARY_DIR} FEDAVG_CC=${CMAKE_C_COMPILER} FEDAVG_CMAKE=${CMAKE_COMMAND}
                FEDAVG_SANITIZE=${FEDAVG_SANITIZE})
fed_house(roster_live)
fed_house(refusals)
fed_house(privileges)
fed_house(service)
fed_house(edge)
fed_house(status)
fed_house(api)
fed_house(metrics)
fed_house(backup)
fed_house(plots)
fed_house(models)
fed_house(exported)
fed_house(doctor)
fed_house(init)
fed_house(learns)
fed_house(formats)
fed_house(tables)
fed_house(blas)
fed_house(guides FEDAVG_SANITIZE=${FEDAVG_SANITIZE})

add_executable(reversed_node ${FED_HOUSE_DIR}/reversed_node.c)
target_link_libraries(reversed_node PRIVATE fed_client)
fed_house(same_bits FEDAVG_REVERSED_NODE=$<TARGET_FILE:reversed_node>)
fed_house(resume)
fed_house(launcher)

add_executable(lying_node ${FED_HOUSE_DIR}/lying_node.c)
target_link_libraries(lying_node PRIVATE fed_client)
fed_house(lying FEDAVG_LYING_NODE=$<TARGET_FILE:lying_node>)

add_executable(attacker ${CMAKE_CURRENT_SOURCE_DIR}/faults/attacker.c)
target_link_libraries(attacker PRIVATE fed_link)
fed_house(nftables)
fed_house(descriptors FEDAVG_ATTACKER=$<TARGET_FILE:attacker>)
fed_house(hostile FEDAVG_LYING_NODE=$<TARGET_FILE:lying_node> FEDAVG_ATTACKER=$<TARGET_FILE:attacker> FEDAVG_SANITIZE=${FEDAVG_SANITIZE})

# Sanitizers want to be the first library of a process, so that nothing can be preloaded there.
if(NOT FEDAVG_SANITIZE)
  foreach(library kill_at lost_writes fail_at clock)
    add_library(${library} MODULE ${CMAKE_CURRENT_SOURCE_DIR}/faults/${library}.c)
    target_include_directories(${library} PRIVATE ${CMAKE_SOURCE_DIR})
    target_link_libraries(${library} PRIVATE ${CMAKE_DL_LIBS} Threads::Threads)
  endforeach()
  set(FED_KILL_AT FEDAVG_KILL_AT=$<TARGET_FILE:kill_at>)
  set(FED_LOST_WRITES FEDAVG_LOST_WRITES=$<TARGET_FILE:lost_writes>)
  set(FED_FAIL_AT FEDAVG_FAIL_AT=$<TARGET_FILE:fail_at>)
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
fed_house(clients_killed)
fed_house(clock ${FED_CLOCK})
fed_house(damaged)
fed_house(disk_fails ${FED_FAULTS} FEDAVG_STORE_WRITER=$<TARGET_FILE:store_writer>)
fed_house(power_cut ${FED_FAULTS} FEDAVG_STORE_WRITER=$<TARGET_FILE:store_writer>)

# A bad network, packet by packet.
add_executable(link ${CMAKE_CURRENT_SOURCE_DIR}/faults/link.c)
add_executable(lying_joiner ${FED_HOUSE_DIR}/lying_joiner.c)
target_link_libraries(lying_joiner PRIVATE fed_proto fed_link)
fed_house(enrol FEDAVG_LYING_JOINER=$<TARGET_FILE:lying_joiner>)
fed_house(kept_secret)
fed_house(networks FEDAVG_LINK=$<TARGET_FILE:link>)

# What deploy/edge builds, beside programs of the machine that builds; for its own processor deploy/edge runs this by itself.
if(Python3_FOUND AND CMAKE_CROSSCOMPILING)
  add_test(NAME house/static_client COMMAND ${Python3_EXECUTABLE} -B ${FED_HOUSE_DIR}/static_client.py)
  set(client ${CMAKE_SOURCE_DIR}/build/edge-${CMAKE_SYSTEM_PROCESSOR}/bin/fedavg-client)
  set_tests_properties(house/static_client PROPERTIES TIMEOUT 1500 SKIP_RETURN_CODE 77 ENVIRONMENT
                       "FEDAVG_BIN=${CMAKE_SOURCE_DIR}/build/release/bin;FEDAVG_STATIC_CLIENT=${client};FEDAVG_EMULATOR=qemu-${CMAKE_SYSTEM_PROCESSOR}-static")
endif()

# Machinery around the programs, of which most machines lack some; by deploy/test --cluster (ctest -C Cluster).
function(fed_cluster name)
  if(Python3_FOUND AND NOT FEDAVG_SANITIZE AND NOT CMAKE_CROSSCOMPILING)
    add_test(NAME cluster/${name} CONFIGURATIONS Cluster COMMAND ${Python3_EXECUTABLE} -B ${FED_HOUSE_DIR}/${name}.py)
    set_tests_properties(cluster/${name} PROPERTIES TIMEOUT 1200 SKIP_RETURN_CODE 77 ENVIRONMENT
                         "FEDAVG_BIN=$<TARGET_FILE_DIR:fedavg>")
  endif()
endfunction()

fed_cluster(slurm)
fed_cluster(containers)
fed_cluster(kubernetes)

# With FEDAVG_LONG=1.
set(FED_LONG_TESTS house/hostile house/clients_killed house/coordinator_killed house/node_killed house/rollback house/damaged
                   house/disk_fails house/power_cut house/networks house/api house/metrics)
if(TEST house/networks)
  set_tests_properties(${FED_LONG_TESTS} PROPERTIES TIMEOUT 1800 COST 500) # first, whatever the last run took
  set_tests_properties(house/networks PROPERTIES COST 1000)
  set_tests_properties(house/clients_killed PROPERTIES COST 2000) # the longest
endif()

# On request, because they make a whole Debian: ctest -C packages -L packages, after deploy/package.
if(Python3_FOUND)
  add_test(NAME house/packages CONFIGURATIONS packages COMMAND ${Python3_EXECUTABLE} -B ${FED_HOUSE_DIR}/packages.py)
  set_tests_properties(house/packages PROPERTIES TIMEOUT 900 SKIP_RETURN_CODE 77 LABELS packages ENVIRONMENT
                       "FEDAVG_PACKAGES=${CMAKE_SOURCE_DIR}/build/package")
endif()
