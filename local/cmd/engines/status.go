//go:build unix

package main

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"text/tabwriter"
	"time"

	"github.com/angelowl-loyalties/app/local/engines"
	"github.com/spf13/cobra"
)

func statusCommand() *cobra.Command {
	var dir string
	c := &cobra.Command{
		Use:   "status",
		Short: "Show which engines run: process, memory, start-up, address, log",
		Long: `status shows the engines of a folder, and without --dir those too that tests and "engines run" have
running. Memory is what is resident; the processes of PostgreSQL share some, which counts for each.
PostgreSQL's address is shown without its password; "engines start" prints it whole.`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usageError{errors.New("status shows all engines and takes none by name")}
			}
			return nil
		},
	}
	dirFlag(c, &dir)
	c.RunE = func(c *cobra.Command, _ []string) error {
		dirs := []string{dir}
		if dir == "" {
			own, err := whichDir("")
			if err != nil {
				return err
			}
			temps, err := engines.Temps()
			if err != nil {
				return err
			}
			dirs = append([]string{own}, temps...)
		}
		w := tabwriter.NewWriter(c.OutOrStdout(), 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "ENGINE\tPID\tMEMORY\tREADY IN\tUP\tADDRESS\tLOG")
		for _, dir := range dirs {
			for _, k := range engines.Kinds {
				e, err := engines.Open(c.Context(), dir, k)
				if errors.Is(err, os.ErrNotExist) || errors.Is(err, os.ErrPermission) {
					continue
				}
				if err != nil {
					return err
				}
				for _, n := range e.Nodes {
					s, err := n.Status()
					if err != nil {
						return err
					}
					if s.PID == 0 {
						fmt.Fprintf(w, "%s\t-\t-\t-\tdown\t%s\t%s\n", k, shown(n.Addr), n.Log)
						continue
					}
					fmt.Fprintf(w, "%s\t%d\t%d MB\t%.1f s\t%v\t%s\t%s\n", k, s.PID, s.Memory/1_000_000, s.Took.Seconds(), time.Since(s.Since).Round(time.Second), shown(n.Addr), n.Log)
				}
			}
		}
		return w.Flush()
	}
	return c
}

// shown is an address without its password.
func shown(addr string) string {
	if u, err := url.Parse(addr); err == nil && u.User != nil {
		return u.Redacted()
	}
	return addr
}
