# libfedavg-client: the public interface of client/ (include/fedavg/client.h) as a shared library. It exports what
# client/libfedavg-client.map names and nothing else; tests/unit/check_abi.sh holds that against the header, the manual and what
# was recorded.
set(FED_ABI 1) # counts up only when a program that was built against the library would break

add_library(fedavg_client_shared SHARED client/api.c client/api_settings.c client/api_news.c)
set_target_properties(
  fedavg_client_shared
  PROPERTIES OUTPUT_NAME fedavg-client
             VERSION ${FED_ABI}.${PROJECT_VERSION}
             SOVERSION ${FED_ABI}
             C_VISIBILITY_PRESET hidden
             LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/lib
             LINK_DEPENDS ${CMAKE_SOURCE_DIR}/client/libfedavg-client.map)
target_include_directories(fedavg_client_shared INTERFACE ${CMAKE_SOURCE_DIR}/include)
target_link_libraries(fedavg_client_shared PRIVATE fed_client)
target_link_options(fedavg_client_shared PRIVATE -Wl,--version-script=${CMAKE_SOURCE_DIR}/client/libfedavg-client.map)
if(NOT FEDAVG_SANITIZE)
  target_link_options(fedavg_client_shared PRIVATE -Wl,-z,defs)
endif()

# The file for pkg-config finds everything from where it lies itself, wherever that was installed.
file(RELATIVE_PATH FED_PC_PREFIX /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
string(REGEX REPLACE "/$" "" FED_PC_PREFIX ${FED_PC_PREFIX})
configure_file(client/fedavg-client.pc.in ${CMAKE_BINARY_DIR}/lib/fedavg-client.pc @ONLY)

install(TARGETS fedavg_client_shared LIBRARY COMPONENT libfedavg-client1 NAMELINK_COMPONENT libfedavg-client-dev)
install(DIRECTORY include/fedavg TYPE INCLUDE COMPONENT libfedavg-client-dev)
install(FILES ${CMAKE_BINARY_DIR}/lib/fedavg-client.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT libfedavg-client-dev)
install(FILES docs/examples/embed.c DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/libfedavg-client-dev/examples
        COMPONENT libfedavg-client-dev)
