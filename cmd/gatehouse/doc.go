// Command gatehouse is an OAuth 2.1 authorization server and a protected MCP
// resource server in one binary, with the tools to run them.
//
//	gatehouse dev      both servers on this machine, with demo clients
//	gatehouse serve    one or both in production, from a settings file
//	gatehouse client   register and change OAuth clients
//	gatehouse token    get an access token; then introspect, call, revoke
//
// This package only wires: it reads the command line and the settings file,
// opens an engine, starts servers and prints. Flags describe the process, the
// environment holds secrets, the settings file describes the domain. It exits
// with 0 when all is well, 1 when something failed, 2 when it was used
// wrongly, and says in one line on stderr what is wrong and what to do.
package main
