package authserver

import (
	"errors"
	"net/http"

	"github.com/gatehouse-mcp/gatehouse/web"
)

// pageError is an error that a person sees as a page: what happened, whether
// anything was lost, and the one thing to do.
type pageError struct {
	*oauthError
	title, text, advice string
	linkText, linkURL   string // optional way on, never to an unproven place
}

func (e *pageError) Unwrap() error { return e.oauthError }

// startAgain is for a request that has expired, was finished in another tab or
// began in another browser: nobody learns which.
func startAgain(cause error) *pageError {
	return &pageError{
		oauthError: invalidRequest("The sign-in has expired.").because(cause),
		title:      "Please start again",
		text:       "This sign-in has expired or was finished already. Nothing was changed.",
		advice:     "Go back to the app and connect again.",
	}
}

// writePage answers with a rendered page, or returns why there is none.
func writePage(w http.ResponseWriter, status int, page web.Document, err error) error {
	if err != nil {
		return err
	}
	w.Header().Set("Content-Security-Policy", page.Policy)
	writeDocument(w, status, "text/html; charset=utf-8", page.HTML)
	return nil
}

// writeFailure answers a person with err.
func (s *Server) writeFailure(w http.ResponseWriter, entry *logEntry, err error) {
	failure := web.Failure{
		Title: "Something went wrong", Text: "The server could not do this. Nothing was changed.",
		Advice: "Try again in a moment.", Reference: entry.requestID,
	}
	setRetryAfter(w, entry.failure)
	switch told, ok := errors.AsType[*pageError](err); {
	case ok:
		failure.Title, failure.Text, failure.Advice = told.title, told.text, told.advice
		failure.LinkText, failure.LinkURL = told.linkText, told.linkURL
	case entry.failure.status == http.StatusServiceUnavailable:
		failure.Title, failure.Text = "Busy right now", "The server cannot answer at the moment. Nothing was lost."
	case entry.failure.status == http.StatusTooManyRequests:
		failure.Title, failure.Text = "Too many tries", "Too many requests came from your network just now, so this one was not used. Nothing was changed."
		failure.Advice = "Wait a moment, then load the page again."
	case entry.failure.status == http.StatusForbidden:
		failure.Title, failure.Text = "This did not come from here", "The form was sent from another page, so it was not used. Nothing was changed."
		failure.Advice = "Open the page again and repeat what you did."
	case entry.failure.status < http.StatusInternalServerError:
		failure.Title, failure.Text = "That request made no sense", entry.failure.description+" Nothing was changed."
		failure.Advice = "Go back and try again."
	}
	page, err := s.pages.Failure(failure)
	if err != nil || writePage(w, entry.failure.status, page, nil) != nil {
		s.writeError(w, entry.failure)
	}
}

// seeOther sends the browser on with a GET (RFC 9700 §4.12).
func seeOther(w http.ResponseWriter, location string) error {
	w.Header().Set("Location", location)
	w.WriteHeader(http.StatusSeeOther)
	return nil
}
