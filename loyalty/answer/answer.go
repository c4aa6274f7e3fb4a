// Package answer is what a caller may know of an error. It stands apart from package web, so that what
// makes such an error needs no web framework.
package answer

// Error is an answer that is an error.
type Error struct {
	Status  int    // of HTTP
	Code    string // snake_case, for programs
	Message string // plain words, for people
}

func (e *Error) Error() string { return e.Message }
