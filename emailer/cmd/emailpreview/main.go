// Command emailpreview writes the nightly mail of made-up people, as files to look at in a browser and in a
// mail program.
package main

import (
	"flag"
	"fmt"
	"maps"
	netmail "net/mail"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/angelowl-loyalties/app/emailer"
)

func main() {
	dir := flag.String("o", "mails", "the folder to write to: NAME.html, NAME.txt and NAME.eml of each mail")
	flag.Parse()
	if err := write(*dir); err != nil {
		fmt.Fprintln(os.Stderr, "emailpreview:", err)
		os.Exit(1)
	}
}

func write(dir string) error {
	samples, err := emailer.Samples()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(samples)) {
		m := samples[name]
		raw, err := m.Encode(netmail.Address{Name: "Example Bank", Address: "rewards@bank.example"}, time.Now())
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		for ext, content := range map[string][]byte{".html": []byte(m.HTML), ".txt": []byte(m.Text), ".eml": raw} {
			if err := os.WriteFile(filepath.Join(dir, name+ext), content, 0o644); err != nil {
				return err
			}
		}
		fmt.Println(filepath.Join(dir, name+".html"))
	}
	return nil
}
