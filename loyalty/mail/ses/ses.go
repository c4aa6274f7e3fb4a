// Package ses sends mail through Amazon SES, as whole messages, so that their headers and parts are
// those that smtp sends. SES writes Date and Message-ID itself: the Message-ID that we give stays in
// Original-Message-ID.
package ses

import (
	"context"
	"errors"
	"fmt"
	"net/mail"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/sesv2"
	"github.com/aws/aws-sdk-go-v2/service/sesv2/types"
	"github.com/aws/smithy-go"

	loyaltymail "github.com/angelowl-loyalties/app/loyalty/mail"
)

// Config says how to send.
type Config struct {
	From             mail.Address
	ConfigurationSet string // SES's, which says where bounces are told; "": the identity's own
	Clock            func() time.Time
}

// Sender is a mail.Sender. What SES throttles the client tries again, as its retryer says.
type Sender struct {
	cfg    Config
	client *sesv2.Client
}

// New returns a sender.
func New(client *sesv2.Client, cfg Config) (*Sender, error) {
	if cfg.Clock == nil || !loyaltymail.Addressable(cfg.From.Address) {
		return nil, errors.New("sending mail by Amazon SES needs a clock and the sender's address")
	}
	return &Sender{cfg, client}, nil
}

// Send is mail.Sender's.
func (s *Sender) Send(ctx context.Context, m loyaltymail.Message) error {
	b, err := m.Encode(s.cfg.From, s.cfg.Clock())
	if err != nil {
		return err
	}
	in := &sesv2.SendEmailInput{
		FromEmailAddress: aws.String(s.cfg.From.Address),
		Destination:      &types.Destination{ToAddresses: []string{m.To.Address}},
		Content:          &types.EmailContent{Raw: &types.RawMessage{Data: b}},
	}
	if s.cfg.ConfigurationSet != "" {
		in.ConfigurationSetName = aws.String(s.cfg.ConfigurationSet)
	}
	_, err = s.client.SendEmail(ctx, in)
	return s.explain(ctx, err)
}

// Close is nothing: the client's connections are its transport's.
func (s *Sender) Close() error { return nil }

// explain says what SES answered, without its words where they may name the recipient.
func (s *Sender) explain(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	var (
		said     smithy.APIError
		response *awshttp.ResponseError
		request  string
	)
	if ctx.Err() != nil {
		return fmt.Errorf("sending a mail by Amazon SES: %w", ctx.Err())
	}
	if errors.As(err, &response) && response.ServiceRequestID() != "" {
		request = ", request " + response.ServiceRequestID()
	}
	if !errors.As(err, &said) {
		return fmt.Errorf("sending a mail by Amazon SES: %w", err)
	}
	words, code := said.ErrorMessage(), said.ErrorCode()
	switch code {
	case "MessageRejected", "BadRequestException", "InvalidParameterValue":
		// An identity that is not verified is the deployment's fault, and can be mended.
		if strings.Contains(strings.ToLower(words), strings.ToLower(s.cfg.From.Address)) {
			return fmt.Errorf("sending a mail: Amazon SES does not let us send from MAIL_FROM's address; verify it or its domain there (%s%s)", code, request)
		}
		return fmt.Errorf("%w: Amazon SES answered %s%s", loyaltymail.ErrRefused, code, request)
	}
	return fmt.Errorf("sending a mail: Amazon SES answered %s%s: %s", code, request, words)
}
