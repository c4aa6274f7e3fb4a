package etcd_test

import (
	"log/slog"
	"testing"

	"github.com/angelowl-loyalties/app/local/etcd"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestAMemberThatStartsAgainHasItsData(t *testing.T) {
	dir := t.TempDir()
	for start, want := range []string{"", "v"} {
		s, err := etcd.Start(t.Context(), dir, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		c, err := s.Client()
		if err != nil {
			t.Fatal(err)
		}
		got, err := c.Get(t.Context(), "k")
		if err != nil {
			t.Fatal(err)
		}
		value := ""
		for _, kv := range got.Kvs {
			value = string(kv.Value)
		}
		if value != want {
			t.Errorf("start %d: k is %q, want %q", start, value, want)
		}
		if _, err := c.Put(t.Context(), "k", "v"); err != nil {
			t.Fatal(err)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		s.Close()
	}
}
