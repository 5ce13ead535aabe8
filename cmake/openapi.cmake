# The description of the API, compiled in as FED_OPENAPI (coordinator/http/openapi.h).
set(openapi_source ${CMAKE_SOURCE_DIR}/coordinator/http/openapi.json)
set(openapi_table ${CMAKE_BINARY_DIR}/openapi_table.c)
add_custom_command(
  OUTPUT ${openapi_table}
  COMMAND ${CMAKE_COMMAND} -D "IN=${openapi_source}" -D "OUT=${openapi_table}" -P ${CMAKE_SOURCE_DIR}/cmake/openapi_table.cmake
  DEPENDS ${openapi_source} ${CMAKE_SOURCE_DIR}/cmake/openapi_table.cmake
  VERBATIM)
target_sources(fed_coordinator PRIVATE ${openapi_table})
