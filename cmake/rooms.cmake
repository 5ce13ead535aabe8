# fed_sources(out folders): the .c files of these folders.
function(fed_sources out folders)
  list(TRANSFORM folders REPLACE "(.+)" "${CMAKE_SOURCE_DIR}/\\1/*.c")
  file(GLOB sources CONFIGURE_DEPENDS ${folders})
  set(${out} ${sources} PARENT_SCOPE)
endfunction()

# fed_library(name folders libraries...): the .c files of folders, without main.c, as a static library.
function(fed_library name folders)
  fed_sources(sources "${folders}")
  list(FILTER sources EXCLUDE REGEX "/main\\.c$")
  if(NOT sources)
    add_library(${name} INTERFACE)
    target_include_directories(${name} INTERFACE ${CMAKE_SOURCE_DIR} ${CMAKE_BINARY_DIR})
    target_link_libraries(${name} INTERFACE ${ARGN})
    return()
  endif()
  add_library(${name} STATIC ${sources})
  target_include_directories(${name} PUBLIC ${CMAKE_SOURCE_DIR} ${CMAKE_BINARY_DIR})
  target_link_libraries(${name} PUBLIC ${ARGN})
  set_target_properties(${name} PROPERTIES C_VISIBILITY_PRESET hidden) # what is not public stays inside a library
endfunction()

# fed_protocol(name folder): the generated protobuf-c code and the wire room that hides it.
function(fed_protocol name folder)
  set(out ${CMAKE_BINARY_DIR}/${folder})
  file(MAKE_DIRECTORY ${out})
  add_custom_command(
    OUTPUT ${out}/fedavg.pb-c.c ${out}/fedavg.pb-c.h
    COMMAND ${PROTOC_C} --c_out=${out} --proto_path=${CMAKE_SOURCE_DIR}/${folder} fedavg.proto
    DEPENDS ${CMAKE_SOURCE_DIR}/${folder}/fedavg.proto
    VERBATIM)
  fed_library(${name} ${folder} fed_base fed_seal PkgConfig::protobufc)
  target_sources(${name} PRIVATE ${out}/fedavg.pb-c.c ${out}/fedavg.pb-c.h)
  set_source_files_properties(${out}/fedavg.pb-c.c PROPERTIES COMPILE_OPTIONS "-w")
endfunction()

# fed_export(name folder libraries...): the same for the schema of ONNX, which is not ours.
function(fed_export name folder)
  set(out ${CMAKE_BINARY_DIR}/${folder})
  file(MAKE_DIRECTORY ${out})
  add_custom_command(
    OUTPUT ${out}/onnx.pb-c.c ${out}/onnx.pb-c.h
    COMMAND ${PROTOC_C} --c_out=${out} --proto_path=${CMAKE_SOURCE_DIR}/${folder} onnx.proto
    DEPENDS ${CMAKE_SOURCE_DIR}/${folder}/onnx.proto
    VERBATIM)
  fed_library(${name} ${folder} ${ARGN})
  target_sources(${name} PRIVATE ${out}/onnx.pb-c.c ${out}/onnx.pb-c.h)
  set_source_files_properties(${out}/onnx.pb-c.c PROPERTIES COMPILE_OPTIONS "-w")
endfunction()

# fed_program(name main libraries...): a program of one main file; programs stand side by side in bin/.
function(fed_program name main)
  if(EXISTS ${CMAKE_SOURCE_DIR}/${main})
    add_executable(${name} ${main})
    target_link_libraries(${name} PRIVATE ${ARGN})
    set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin POSITION_INDEPENDENT_CODE ON)
    install(TARGETS ${name} RUNTIME COMPONENT ${name})
  endif()
endfunction()

# fed_command(name folders libraries...): a program of all files of folders.
function(fed_command name folders)
  fed_sources(sources "${folders}")
  if(sources)
    add_executable(${name} ${sources})
    target_link_libraries(${name} PRIVATE ${ARGN})
    set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin POSITION_INDEPENDENT_CODE ON)
    install(TARGETS ${name} RUNTIME COMPONENT ${name})
  endif()
endfunction()

# The loops over whole models and images live here; -O2 of gcc 12 leaves those with an early answer scalar (check: 1.2 ms against 0.27).
set_source_files_properties(${CMAKE_SOURCE_DIR}/common/numeric/fixed.c ${CMAKE_SOURCE_DIR}/common/numeric/norm.c
                            ${CMAKE_SOURCE_DIR}/common/data/dataset.c
                            ${CMAKE_SOURCE_DIR}/common/model/layer.c ${CMAKE_SOURCE_DIR}/common/model/max_pool.c
                            ${CMAKE_SOURCE_DIR}/common/model/loss.c
                            PROPERTIES COMPILE_OPTIONS "-O3")

# Kernel files are compiled for the instruction set in their name; which one runs is chosen at start.
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64")
  set(kernels_avx2 -O3 -mavx2 -mfma)
  set(kernels_avx512 -O3 -mavx512f -mavx512dq -mavx512vl -mavx512bw -mfma -mprefer-vector-width=512)
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "aarch64")
  set(kernels_neon -O3)
endif()
# Filling their tiles with zeros, which are written before they are read, costs a step of training 2 % (AVX-512) to 7 % (AVX2).
if(FED_HAS_ZERO_INIT)
  set(kernels_as_written -ftrivial-auto-var-init=uninitialized)
elseif(FEDAVG_COVERAGE)
  set(kernels_as_written -O2 -fprofile-update=single) # a hundred times faster; what is counted twice or not at all is still counted
endif()
foreach(set avx2 avx512 neon portable)
  set_source_files_properties(${CMAKE_SOURCE_DIR}/common/numeric/kernels_${set}.c
                              PROPERTIES COMPILE_OPTIONS "${kernels_${set}};${kernels_as_written}")
endforeach()

set_source_files_properties(${CMAKE_SOURCE_DIR}/cli/doctor/libraries.c PROPERTIES COMPILE_DEFINITIONS "${FED_LEAST}")
