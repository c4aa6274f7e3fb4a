package main

import (
	"bytes"
	"strings"
	"testing"
)

func TestEraseRefuses(t *testing.T) {
	const card = "d831d553-d549-53e2-8021-699aada82d4d"
	for _, tt := range []struct {
		name string
		args []string
		says string
	}{
		{"nothing", nil, "say the ids"},
		{"a card's number", []string{"4111111111111111"}, "argument 1 is not the id"},
		{"one good and one bad", []string{card, "x"}, "argument 2 is not the id"},
		{"braces", []string{"{" + card + "}"}, "argument 1 is not the id"},
		{"a flag nobody knows", []string{"--all"}, "not defined"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			code := erase(t.Context(), tt.args, &stdout, &stderr)
			if code != 2 || !strings.Contains(stderr.String(), tt.says) || stdout.Len() > 0 {
				t.Errorf("%d %q %q, want 2 and %q", code, &stdout, &stderr, tt.says)
			}
			if strings.Contains(stderr.String(), "4111111111111111") {
				t.Error("it shows the card's number")
			}
		})
	}
	var stdout, stderr bytes.Buffer
	if code := erase(t.Context(), []string{"--help"}, &stdout, &stderr); code != 0 || !strings.Contains(stdout.String(), "usage: rewarder erase") {
		t.Errorf("--help: %d %q %q", code, &stdout, &stderr)
	}
}
