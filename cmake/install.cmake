# What `make install` puts under PREFIX. libduckdb.so is ours to bring: it lies in lib/ticklake, where libticklake.so looks.
install(TARGETS ticklake_cli RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(TARGETS ticklake LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(FILES ${deps}/duckdb/lib/libduckdb.so DESTINATION ${CMAKE_INSTALL_LIBDIR}/ticklake)
install(DIRECTORY include/ticklake DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h")
install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})
foreach(name duckdb yyjson nanoarrow/flatcc)
  get_filename_component(short ${name} NAME)
  install(FILES ${deps}/${name}/LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR} RENAME LICENSE.${short})
endforeach()

# At install time, as PREFIX may be given then (cmake --install --prefix).
set(pc_in ${CMAKE_SOURCE_DIR}/packaging/ticklake.pc.in)
set(pc_out ${CMAKE_BINARY_DIR}/ticklake.pc)
install(CODE "
  set(PROJECT_VERSION ${PROJECT_VERSION})
  set(CMAKE_INSTALL_LIBDIR ${CMAKE_INSTALL_LIBDIR})
  set(CMAKE_INSTALL_INCLUDEDIR ${CMAKE_INSTALL_INCLUDEDIR})
  configure_file(${pc_in} ${pc_out} @ONLY)")
install(FILES ${pc_out} DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

# The manual and the completions are printed by the program from its own option tables.
set(generated ${CMAKE_BINARY_DIR}/generated)
set(words ${generated}/ticklake.1 ${generated}/ticklake.bash ${generated}/_ticklake ${generated}/ticklake.fish)
add_custom_command(OUTPUT ${words}
  COMMAND ${CMAKE_COMMAND} -E make_directory ${generated}
  COMMAND ticklake_cli __man > ${generated}/ticklake.1
  COMMAND ticklake_cli __completion bash > ${generated}/ticklake.bash
  COMMAND ticklake_cli __completion zsh > ${generated}/_ticklake
  COMMAND ticklake_cli __completion fish > ${generated}/ticklake.fish
  DEPENDS ticklake_cli ticklake VERBATIM)
add_custom_target(words DEPENDS ${words})
install(FILES ${generated}/ticklake.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
install(FILES ${generated}/ticklake.bash DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions RENAME ticklake)
install(FILES ${generated}/_ticklake DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/site-functions)
install(FILES ${generated}/ticklake.fish DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d)
