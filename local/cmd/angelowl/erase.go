package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/angelowl-loyalties/app/informer"
	"github.com/angelowl-loyalties/app/local/ops"
	"github.com/angelowl-loyalties/app/local/stack"
	"github.com/angelowl-loyalties/app/loyalty"
	"github.com/google/uuid"
	"github.com/spf13/cobra"
)

func eraseCommand() *cobra.Command {
	var data string
	var users, cards []string
	c := &cobra.Command{
		Use:   "erase --user ID | --card ID",
		Short: "Erase a person's rewards for good, and the account",
		Long: `erase deletes an account and erases the rewards of all cards that it has or had; with --card those of
a card, and no account. Neither a replay of the log nor the same file brings them back.

Records of such a card that nobody has read yet are rewarded after it; so it says how many of the log are
unread, and is run again when none is. docs/runbooks/erase-a-person.md says what else knows a person.`,
		Example: "  angelowl export --user 3e9c… > person.json\n  angelowl erase --user 3e9c…",
		Args:    noArgs,
	}
	dataFlag(c, &data)
	c.Flags().StringSliceVar(&users, "user", nil, "accounts")
	c.Flags().StringSliceVar(&cards, "card", nil, "cards")
	c.RunE = func(c *cobra.Command, _ []string) (err error) {
		var ask stack.Erase
		if ask.Users, err = ids("--user", users); err != nil {
			return err
		}
		if ask.Cards, err = ids("--card", cards); err != nil {
			return err
		}
		if len(ask.Users)+len(ask.Cards) == 0 {
			return usageError{errors.New("whom? Say --user or --card")}
		}
		return withSystem(c.Context(), data, 0, func(ctx context.Context, s *ops.System) error {
			done, err := s.Erase(ctx, ask)
			if err != nil {
				return err
			}
			out := c.OutOrStdout()
			for _, user := range ask.Users {
				fmt.Fprintf(out, "account %s is deleted\n", user)
			}
			for _, card := range done.Cards {
				fmt.Fprintf(out, "card %s: %d rewards are erased\n", card.Card, card.Rewards)
			}
			if done.Unread > 0 {
				fmt.Fprintf(out, "%d records of the log are unread, and may be of these cards: erase again when angelowl status says that the lag is 0.\n", done.Unread)
			}
			return nil
		})
	}
	return c
}

// ids reads ids as they are written everywhere.
func ids(flag string, texts []string) ([]uuid.UUID, error) {
	out := make([]uuid.UUID, len(texts))
	for i, text := range texts {
		id, err := uuid.Parse(text)
		if err != nil || !strings.EqualFold(id.String(), text) {
			return nil, usageError{fmt.Errorf("%s: that is no id", flag)} // it may be a card's number
		}
		out[i] = id
	}
	return out, nil
}

func earnedCommand() *cobra.Command {
	var data, campaign, from, to string
	c := &cobra.Command{
		Use:   "earned --campaign ID",
		Short: "Add up what a campaign has given so far",
		Long: `earned adds up what a campaign has given for records that arrived from one day of the bank to another,
by the calculation that each reward carries, whatever has become of the campaign since. It prints JSON.`,
		Example: "  angelowl earned --campaign 3e9c… --from 2026-01-31",
		Args:    noArgs,
	}
	dataFlag(c, &data)
	c.Flags().StringVar(&campaign, "campaign", "", "the campaign's id")
	c.Flags().StringVar(&from, "from", "", "the first day; default: 90 days ago")
	c.Flags().StringVar(&to, "to", "", "the last day; default: today")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if campaign == "" {
			return usageError{errors.New("--campaign is missing")}
		}
		id, err := ids("--campaign", []string{campaign})
		if err != nil {
			return err
		}
		return withSystem(c.Context(), data, 0, func(ctx context.Context, s *ops.System) error {
			today := loyalty.DateOf(s.Clock().In(s.Zone).Date())
			q := informer.CampaignQuery{Campaign: id[0], From: today - 90, To: today}
			if from != "" {
				if q.From, err = loyalty.ParseDate(from); err != nil {
					return usageError{fmt.Errorf("--from: %w", err)}
				}
			}
			if to != "" {
				if q.To, err = loyalty.ParseDate(to); err != nil {
					return usageError{fmt.Errorf("--to: %w", err)}
				}
			}
			sum, err := s.Earned(ctx, q)
			if err != nil {
				return err
			}
			return printJSON(c.OutOrStdout(), sum)
		})
	}
	return c
}

// tokenVariable holds the access token of an admin; on a command line others would see it.
const tokenVariable = "ANGELOWL_TOKEN"

func exportCommand() *cobra.Command {
	var api, user string
	c := &cobra.Command{
		Use:   "export --user ID",
		Short: "Write all that is kept of a person, as JSON",
		Long: `export asks the API, here or at a bank, for an account, who changed it, its cards, who changed them, and
every reward with the calculation behind it, and writes one JSON object. ` + tokenVariable + ` is the access token of an
admin. Export before you erase: who is deleted has nothing that could be asked for.`,
		Example: "  " + tokenVariable + "=$TOKEN angelowl export --user 3e9c… > person.json",
		Args:    noArgs,
	}
	c.Flags().StringVar(&api, "api", "http://127.0.0.1:8080", "where the API is")
	c.Flags().StringVar(&user, "user", "", "the account's id")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if user == "" {
			return usageError{errors.New("--user is missing")}
		}
		if _, err := ids("--user", []string{user}); err != nil {
			return err
		}
		if os.Getenv(tokenVariable) == "" {
			return usageError{fmt.Errorf("%s is not set: it is the access token of an admin", tokenVariable)}
		}
		e := exporter{strings.TrimSuffix(api, "/"), os.Getenv(tokenVariable), &http.Client{Timeout: patience}}
		defer e.client.CloseIdleConnections()
		all, err := e.person(c.Context(), user)
		if err != nil {
			return err // nothing is written that is not whole
		}
		return printJSON(c.OutOrStdout(), all)
	}
	return c
}

type exporter struct {
	api, token string
	client     *http.Client
}

// person is all of an account, as the API says it.
type person struct {
	At      time.Time         `json:"exported_at"`
	Account json.RawMessage   `json:"account"`
	History []json.RawMessage `json:"account_history"`
	Cards   []exportedCard    `json:"cards"`
}

type exportedCard struct {
	Card    json.RawMessage   `json:"card"`
	History []json.RawMessage `json:"history"`
	Rewards []json.RawMessage `json:"rewards"`
}

func (e exporter) person(ctx context.Context, user string) (p person, err error) {
	p = person{At: time.Now().UTC(), Cards: []exportedCard{}}
	var account struct {
		Data json.RawMessage `json:"data"`
	}
	if err := e.get(ctx, "/user/"+user, &account); err != nil {
		return p, err
	}
	p.Account = account.Data
	if p.History, err = e.pages(ctx, "/user/"+user+"/history?"); err != nil {
		return p, err
	}
	cards, err := e.pages(ctx, "/card?user_id="+user+"&")
	if err != nil {
		return p, err
	}
	for _, raw := range cards {
		var card struct {
			ID uuid.UUID `json:"id"`
		}
		if err := json.Unmarshal(raw, &card); err != nil {
			return p, fmt.Errorf("reading a card: %w", err)
		}
		one := exportedCard{Card: raw}
		if one.History, err = e.pages(ctx, "/card/"+card.ID.String()+"/history?"); err != nil {
			return p, err
		}
		if one.Rewards, err = e.rewards(ctx, card.ID); err != nil {
			return p, err
		}
		p.Cards = append(p.Cards, one)
	}
	return p, nil
}

// exportPage is the size of a page.
const exportPage = 1000

// pages are all of a list.
func (e exporter) pages(ctx context.Context, path string) ([]json.RawMessage, error) {
	all := []json.RawMessage{}
	for no := 1; ; no++ {
		var page struct {
			Data []json.RawMessage `json:"data"`
		}
		if err := e.get(ctx, fmt.Sprintf("%spage_size=%d&page_no=%d", path, exportPage, no), &page); err != nil {
			return nil, err
		}
		all = append(all, page.Data...)
		if len(page.Data) < exportPage {
			return all, nil
		}
	}
}

func (e exporter) rewards(ctx context.Context, card uuid.UUID) ([]json.RawMessage, error) {
	all := []json.RawMessage{}
	for cursor := ""; ; {
		var page struct {
			Data []json.RawMessage `json:"data"`
			Next string            `json:"next"`
		}
		path := fmt.Sprintf("/reward/%s?page_size=%d", card, exportPage)
		if cursor != "" {
			path += "&cursor=" + url.QueryEscape(cursor)
		}
		if err := e.get(ctx, path, &page); err != nil {
			return nil, err
		}
		all = append(all, page.Data...)
		if cursor = page.Next; cursor == "" {
			return all, nil
		}
	}
}

func (e exporter) get(ctx context.Context, path string, v any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, e.api+path, nil)
	if err != nil {
		return usageError{fmt.Errorf("--api: %w", err)}
	}
	req.Header.Set("Authorization", "Bearer "+e.token)
	res, err := e.client.Do(req)
	if err != nil {
		return fmt.Errorf("asking for %s: %w", path, err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(io.LimitReader(res.Body, 64<<20))
	if err != nil {
		return fmt.Errorf("reading %s: %w", path, err)
	}
	if res.StatusCode != http.StatusOK {
		var said struct {
			Message string `json:"message"`
			Error   string `json:"error"`
		}
		_ = json.Unmarshal(b, &said) // the status says enough where it is none
		return fmt.Errorf("GET %s is answered with %s %s%s", path, res.Status, said.Error, said.Message)
	}
	if err := json.Unmarshal(b, v); err != nil {
		return fmt.Errorf("reading %s: %w", path, err)
	}
	return nil
}
