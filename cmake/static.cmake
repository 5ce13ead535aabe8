# The client as one static file (presets edge-*): every library is the archive that its -dev package carries, the C library too.
set(CMAKE_FIND_LIBRARY_SUFFIXES .a)
include(CheckLinkerFlag)
check_linker_flag(C -Wl,--no-warnings FED_LD_CAN_BE_QUIET) # binutils 2.40

# fed_static_client(name main): position-independent all the same (-pie would undo -static-pie), so that addresses are random.
# libzmq.a is C++; what else it would want is left out (client/edge/absent.ld). The linker warns of glibc's plug-ins; edge.c
# sees to it that none is asked for.
function(fed_static_client name main)
  fed_program(${name} ${main} fed_client)
  set_property(TARGET PkgConfig::zmq APPEND PROPERTY INTERFACE_LINK_LIBRARIES stdc++)
  set(absent ${CMAKE_SOURCE_DIR}/client/edge/absent.ld)
  target_sources(${name} PRIVATE ${CMAKE_SOURCE_DIR}/client/edge/edge.c)
  target_compile_options(${name} PRIVATE -fPIE)
  target_link_options(${name} PRIVATE -static-pie -Wl,--gc-sections $<$<BOOL:${FED_LD_CAN_BE_QUIET}>:-Wl,--no-warnings>)
  target_link_libraries(${name} PRIVATE ${absent})
  set_property(TARGET ${name} PROPERTY POSITION_INDEPENDENT_CODE)
  set_property(TARGET ${name} PROPERTY LINK_DEPENDS ${absent})
endfunction()
