# Debian packages by CPack (deploy/package): a component is a package of its name. What names no component is the command's.
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_DIRECTORY ${CMAKE_BINARY_DIR})
set(CPACK_COMPONENTS_ALL fedavg fedavg-coordinator fedavg-client libfedavg-client1 libfedavg-client-dev)
set(CPACK_COMPONENTS_GROUPING IGNORE)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_PRE_BUILD_SCRIPTS ${CMAKE_SOURCE_DIR}/cmake/package_files.cmake)

set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_PACKAGE_CONTACT "fedavg maintainers <maintainers@fedavg.example.org>")
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION science)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_COMPRESSION_TYPE xz)

# fed_package(name DESCRIPTION text [SECTION text] [DEPENDS text] [RECOMMENDS text] [SUGGESTS text]): the first line of the
# description is its summary.
function(fed_package name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "DESCRIPTION;SECTION;DEPENDS;RECOMMENDS;SUGGESTS" "")
  string(TOUPPER ${name} upper)
  set(prefix CPACK_DEBIAN_${upper})
  set(${prefix}_PACKAGE_NAME ${name} PARENT_SCOPE)
  set(${prefix}_DESCRIPTION ${arg_DESCRIPTION} PARENT_SCOPE)
  foreach(relation SECTION DEPENDS RECOMMENDS SUGGESTS)
    if(arg_${relation})
      set(${prefix}_PACKAGE_${relation} ${arg_${relation}} PARENT_SCOPE)
    endif()
  endforeach()
  install(FILES ${CMAKE_SOURCE_DIR}/deploy/debian/copyright ${CMAKE_SOURCE_DIR}/deploy/debian/changelog
          DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/${name} COMPONENT ${name} EXCLUDE_FROM_ALL)
endfunction()

# fed_service_package(name state ...): the same for a daemon whose services keep their state in /var/lib/fedavg/<state>.
macro(fed_service_package name state)
  fed_package(${name} DEPENDS "systemd | systemd-standalone-sysusers, systemd | systemd-standalone-tmpfiles" ${ARGN})
  string(TOUPPER ${name} upper)
  set(PACKAGE ${name})
  set(STATE ${state})
  set(scripts "")
  foreach(script postinst prerm postrm)
    configure_file(${CMAKE_SOURCE_DIR}/deploy/debian/${script}.in ${CMAKE_BINARY_DIR}/debian/${name}/${script} @ONLY)
    list(APPEND scripts ${CMAKE_BINARY_DIR}/debian/${name}/${script})
  endforeach()
  set(CPACK_DEBIAN_${upper}_PACKAGE_CONTROL_EXTRA ${scripts})
endmacro()

fed_package(fedavg SUGGESTS "fedavg-coordinator, fedavg-client, gnuplot-nox" DESCRIPTION
"federated averaging, the command and the manual
A coordinator sends a model, each client trains it on its own data and
returns a sealed update, and the coordinator averages what it trusts:
exactly, so that the model is a function of the task, the seed and the
updates that were admitted.
.
This package holds the command fedavg, which makes keys and rosters, looks
at runs and simulates whole federations (with the packages of both daemons),
the manual and example tasks.")

fed_service_package(fedavg-coordinator coordinator RECOMMENDS fedavg SUGGESTS libopenblas0-serial DESCRIPTION
"federated averaging, the daemon that runs the rounds
A coordinator sends a model, each client trains it on its own data and
returns a sealed update, and the coordinator averages what it trusts:
exactly, so that the model is a function of the task, the seed and the
updates that were admitted.
.
This package holds the coordinator and a systemd unit for as many of them as
there are folders with a task in /etc/fedavg. Nothing is started by
installing it.")

fed_service_package(fedavg-client client RECOMMENDS fedavg SUGGESTS libopenblas0-serial DESCRIPTION
"federated averaging, the node beside the data
A coordinator sends a model, each client trains it on its own data and
returns a sealed update, and the coordinator averages what it trusts. The
data do not leave the machine, connections go outwards only, and what was
sent is on record.
.
This package holds the client and a systemd unit for as many of them as
there are folders with a client's file in /etc/fedavg. Nothing is started by
installing it.")

configure_file(${CMAKE_SOURCE_DIR}/deploy/debian/shlibs.in ${CMAKE_BINARY_DIR}/debian/shlibs @ONLY)
set(CPACK_DEBIAN_LIBFEDAVG-CLIENT1_PACKAGE_CONTROL_EXTRA ${CMAKE_BINARY_DIR}/debian/shlibs ${CMAKE_SOURCE_DIR}/deploy/debian/triggers)
fed_package(libfedavg-client1 SECTION libs SUGGESTS libopenblas0-serial DESCRIPTION
"federated averaging, the node as a library
A coordinator sends a model, each client trains it on its own data and
returns a sealed update, and the coordinator averages what it trusts.
.
This package holds the library with which a program is such a client itself,
on data that it hands over.")

install(FILES ${CMAKE_SOURCE_DIR}/deploy/debian/libfedavg-client1.lintian-overrides
        DESTINATION ${CMAKE_INSTALL_DATADIR}/lintian/overrides RENAME libfedavg-client1 COMPONENT libfedavg-client1 EXCLUDE_FROM_ALL)

fed_package(libfedavg-client-dev SECTION libdevel DEPENDS "libfedavg-client1 (= ${PROJECT_VERSION})" DESCRIPTION
"federated averaging, the node as a library: header and manual
A coordinator sends a model, each client trains it on its own data and
returns a sealed update, and the coordinator averages what it trusts.
.
This package holds what it takes to build a program that is such a client
itself: header, manual, an example, and the file for pkg-config.")

include(CPack)
