package stack

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/angelowl-loyalties/app/loyalty"
)

// A file that is put into the bucket of users ends as accounts, and as a mail for each new one.
func TestAFileOfUsersIsMailed(t *testing.T) {
	before, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Chdir(before) }) // the S3 server changes it
	inputs := filepath.Join(before, "../../examples")
	seed, err := ReadSeed(filepath.Join(inputs, "rules.json"), filepath.Join(inputs, "quotes.csv"))
	if err != nil {
		t.Fatal(err)
	}
	cfg := Config{
		Data: t.TempDir(), Listen: "127.0.0.1:0", Home: loyalty.MustCurrency("CAD"), Timezone: time.UTC, Rewarders: 1, Partitions: 1, Throwaway: true,
		Portal: "http://127.0.0.1:3000",
	}
	err = Run(t.Context(), cfg, slog.New(slog.DiscardHandler), func(ctx context.Context, s *Stack) error {
		if err := s.Plant(ctx, seed); err != nil {
			return err
		}
		const users = 3
		body := "id,first_name,last_name,phone,email,created_at,updated_at,card_id,card_pan,card_type\n"
		for i := range 2 * users { // two cards each
			body += fmt.Sprintf("%08d-467d-48aa-96ab-d79394710a2b,Ann,Lee,,user-%d@example.com,,,%08d-2222-48aa-96ab-d79394710a2b,4111%012d,%s\n", i%users, i%users, i, i, seed.rules.CardTypes[0].CardType)
		}
		_, err := s.S3.Client().PutObject(ctx, &awss3.PutObjectInput{Bucket: aws.String(UserBucket), Key: aws.String("users/november.csv"), Body: strings.NewReader(body)})
		if err != nil {
			return err
		}
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		deadline := time.After(2 * time.Minute)
		for len(s.mail.Mails("")) < users {
			select {
			case <-tick.C:
			case <-deadline:
				return fmt.Errorf("%d mails in two minutes", len(s.mail.Mails("")))
			}
		}
		for i := range users {
			if n := len(s.mail.Mails(fmt.Sprintf("user-%d@", i))); n != 1 {
				t.Errorf("user %d has %d mails", i, n)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
