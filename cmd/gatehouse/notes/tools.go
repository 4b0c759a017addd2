package notes

import (
	"context"
	"errors"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// summary is a note in a list.
type summary struct {
	ID      string    `json:"id"`
	Title   string    `json:"title"`
	Updated time.Time `json:"updated"`
}

type (
	listArgs struct {
		Query string `json:"query,omitempty" jsonschema:"only notes that contain this, in any case"`
	}
	listResult struct {
		Notes []summary `json:"notes"`
	}
	idArgs struct {
		ID string `json:"id" jsonschema:"as list_notes shows it"`
	}
	writeArgs struct {
		ID    string `json:"id,omitempty" jsonschema:"the note to change; leave out for a new one"`
		Title string `json:"title"        jsonschema:"one line, at most 200 bytes"`
		Text  string `json:"text"         jsonschema:"at most 16384 bytes; replaces the whole text"`
	}
	deleteResult struct {
		Deleted string `json:"deleted" jsonschema:"id of the note that is gone"`
	}
)

// errSave is all that a client learns about a disk.
var errSave = errors.New("the notebook could not be saved; nothing was changed")

func (n *notebook) addTools() {
	closed := false // no tool reaches beyond the notebook
	reads := &mcp.ToolAnnotations{ReadOnlyHint: true, IdempotentHint: true, OpenWorldHint: &closed}
	destroys := true
	writes := &mcp.ToolAnnotations{DestructiveHint: &destroys, OpenWorldHint: &closed}
	deletes := &mcp.ToolAnnotations{DestructiveHint: &destroys, OpenWorldHint: &closed}

	mcp.AddTool(n.server, &mcp.Tool{Name: "list_notes", Title: "List notes", Annotations: reads,
		Description: "Lists ids and titles of the notes, the last changed first."}, n.listNotes)
	mcp.AddTool(n.server, &mcp.Tool{Name: "read_note", Title: "Read a note", Annotations: reads,
		Description: "Returns a note with its text."}, n.readNote)
	mcp.AddTool(n.server, &mcp.Tool{Name: "write_note", Title: "Write a note", Annotations: writes,
		Description: "Creates a note, or replaces title and text of the one with the id given."}, n.writeNote)
	mcp.AddTool(n.server, &mcp.Tool{Name: "delete_note", Title: "Delete a note", Annotations: deletes,
		Description: "Deletes a note. It cannot be brought back."}, n.deleteNote)
	mcp.AddTool(n.server, &mcp.Tool{Name: "admin_stats", Title: "Server statistics", Annotations: reads,
		Description: "Returns how much the notebook holds and how long the server has been running."},
		func(context.Context, *mcp.CallToolRequest, struct{}) (*mcp.CallToolResult, status, error) {
			return nil, n.status(), nil
		})
}

func (n *notebook) listNotes(_ context.Context, _ *mcp.CallToolRequest, args listArgs) (*mcp.CallToolResult, listResult, error) {
	return nil, listResult{Notes: n.summaries(args.Query)}, nil
}

func (n *notebook) summaries(query string) []summary {
	list := []summary{}
	for _, note := range n.book.list(query) {
		list = append(list, summary{note.ID, note.Title, note.Updated})
	}
	return list
}

func (n *notebook) readNote(_ context.Context, _ *mcp.CallToolRequest, args idArgs) (*mcp.CallToolResult, Note, error) {
	note, err := n.book.read(args.ID)
	return nil, note, err
}

func (n *notebook) writeNote(ctx context.Context, req *mcp.CallToolRequest, args writeArgs) (*mcp.CallToolResult, Note, error) {
	note, err := n.book.write(Note{ID: args.ID, Title: args.Title, Text: args.Text, Author: author(req.Extra)}, time.Now())
	if err != nil {
		return nil, Note{}, n.explain(ctx, err)
	}
	n.changed(ctx, note.ID)
	return nil, note, nil
}

func (n *notebook) deleteNote(ctx context.Context, _ *mcp.CallToolRequest, args idArgs) (*mcp.CallToolResult, deleteResult, error) {
	if err := n.book.delete(args.ID); err != nil {
		return nil, deleteResult{}, n.explain(ctx, err)
	}
	n.changed(ctx, args.ID)
	return nil, deleteResult{Deleted: args.ID}, nil
}

// explain returns errors that say what to do as they are; every other one is
// about the disk, which is the operator's business.
func (n *notebook) explain(ctx context.Context, err error) error {
	for _, known := range []error{errNotFound, errFull, errTitle, errText} {
		if errors.Is(err, known) {
			return err
		}
	}
	n.log.ErrorContext(ctx, "the notebook could not be saved", "error", err)
	return errSave
}
