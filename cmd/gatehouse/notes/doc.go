// Package notes is the MCP server that gatehouse brings along: a notebook in a
// file, small and complete, for trying the gate and as an example of a server
// behind it.
//
// It owns the notes, their bounds and their file, and says which scopes its
// operations need ([Policy]). It refuses to authenticate and to guess who is
// allowed: the gate and streamable.FilterLists do that. Notes belong to the
// notebook, not to their authors: whoever may read one may read all.
package notes
