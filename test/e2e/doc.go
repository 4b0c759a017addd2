// Package e2e connects the clients that real applications are built with to
// the pair, on Postgres and over real connections: from the endpoint's first
// 401 through discovery, registration, sign-in and consent to a tool's result,
// a step-up, a refresh and the end by revocation.
//
// The clients of Node.js are scripts beside the tests, run as child processes;
// they say on stdout where to send the person and hear on stdin where the
// browser was sent back to. Install them with npm ci in this folder.
//
// The security guide's own cases are scripts of curl commands in testdata,
// against the binary; the rows that they prove stand in their names.
package e2e
