# The live page in a real browser: tests/page/check_<name>.mjs, run by node. Says what is missing where it cannot be tried.
find_program(NODE NAMES node nodejs)
set(FED_PAGE_DIR ${CMAKE_CURRENT_LIST_DIR})

# fed_page(name)
function(fed_page name)
  if(NOT TARGET fedavg OR CMAKE_CROSSCOMPILING)
    return()
  endif()
  if(NODE)
    add_test(NAME page/${name} COMMAND ${NODE} ${FED_PAGE_DIR}/check_${name}.mjs)
  else()
    add_test(NAME page/${name} COMMAND sh -c "echo 'skipped: page: there is no node: deploy/install-deps installs it'; exit 77")
  endif()
  set_tests_properties(page/${name} PROPERTIES TIMEOUT 1500 SKIP_RETURN_CODE 77 ENVIRONMENT "FEDAVG_BIN=$<TARGET_FILE_DIR:fedavg>")
endfunction()

if(NOT FEDAVG_SANITIZE) # these ask a coordinator that is made up
  fed_page(states)
  fed_page(speed)
endif()
fed_page(run)
