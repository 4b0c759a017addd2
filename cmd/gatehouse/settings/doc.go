// Package settings is the settings file of the gatehouse binary: one strict
// YAML document whose keys are the fields of [Settings].
//
// It owns the grammar of the file (an unknown key, a wrong type and a value
// out of range are errors with line and column), its defaults, and its
// manual: the doc comments of the structs below are what "gatehouse config
// example" prints. It opens no store, starts no server and reads no
// environment; secrets never stand in the file, only the name of a file or of
// an environment variable that holds them.
package settings
