// Package preview writes mails as files, to look at in a browser and in a mail program.
package preview

import (
	"flag"
	"fmt"
	"io"
	"maps"
	netmail "net/mail"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/angelowl-loyalties/app/loyalty/mail"
)

// Main is a program that writes sample mails, by name. It exits with 0, with 1 when they could not be written,
// and with 2 on wrong usage.
func Main(samples func() (map[string]mail.Message, error)) {
	dir := flag.String("o", "mails", "the folder to write to: NAME.html, NAME.txt and NAME.eml of each mail")
	flag.Parse()
	if flag.NArg() > 0 {
		fmt.Fprintf(os.Stderr, "%s: what is %q for?\n", filepath.Base(os.Args[0]), flag.Arg(0))
		flag.Usage()
		os.Exit(2)
	}
	mails, err := samples()
	if err == nil {
		err = Write(*dir, mails, os.Stdout)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", filepath.Base(os.Args[0]), err)
		os.Exit(1)
	}
}

// Write writes the mails to a folder, which it makes, and says to out which pages it wrote.
func Write(dir string, mails map[string]mail.Message, out io.Writer) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(mails)) {
		m := mails[name]
		raw, err := m.Encode(netmail.Address{Name: "Example Bank", Address: "rewards@bank.example"}, time.Now())
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		for ext, content := range map[string][]byte{".html": []byte(m.HTML), ".txt": []byte(m.Text), ".eml": raw} {
			if err := os.WriteFile(filepath.Join(dir, name+ext), content, 0o644); err != nil {
				return err
			}
		}
		fmt.Fprintln(out, filepath.Join(dir, name+".html"))
	}
	return nil
}
