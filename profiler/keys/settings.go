package keys

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/kms"

	"github.com/angelowl-loyalties/app/loyalty/config"
)

// Settings say where the keys of tokens are.
type Settings struct {
	KMS    []string `env:"JWT_KMS_KEY_ID,optional" help:"keys of AWS KMS (ECC_NIST_P256, SIGN_VERIFY) that sign tokens, ids or ARNs with commas between: the first signs, all are published. To rotate, put the new one first, and take the old one out an hour later"`
	File   string   `env:"JWT_KEY_FILE,optional" help:"file with the keys that sign tokens, where there is no KMS; made at the first start, for nobody but its owner to read"`
	Region string   `env:"AWS_REGION,optional" help:"region of AWS KMS"`
}

// Check says whether there is one place.
func (s *Settings) Check() []config.Problem {
	switch {
	case len(s.KMS) > 0 && s.File != "":
		return []config.Problem{{Name: "JWT_KMS_KEY_ID", Reason: "and JWT_KEY_FILE are both set; set one"}}
	case len(s.KMS) == 0 && s.File == "":
		return []config.Problem{{Name: "JWT_KMS_KEY_ID", Reason: "or JWT_KEY_FILE must be set: without a key nobody can be let in"}}
	}
	return nil
}

// timeout is how long KMS may take for an answer.
const timeout = 5 * time.Second

// Open reads the keys. AWS is found, and this program known to it, as Amazon's tools do it.
func (s *Settings) Open(ctx context.Context) (*Ring, error) {
	if len(s.KMS) == 0 {
		return File(s.File)
	}
	cfg, err := awsconfig.LoadDefaultConfig(ctx, awsconfig.WithRegion(s.Region), awsconfig.WithHTTPClient(awshttp.NewBuildableClient().WithTimeout(timeout)))
	if err != nil {
		return nil, fmt.Errorf("finding AWS: %w", err)
	}
	return KMS(ctx, kms.NewFromConfig(cfg), s.KMS...)
}

// Unavailable says whether an error of Open may pass: AWS could not be asked. What it says of a key does
// not.
func Unavailable(err error) bool {
	var answered *awshttp.ResponseError
	if errors.As(err, &answered) && answered.HTTPStatusCode() != 0 {
		return answered.HTTPStatusCode() >= 500 || answered.HTTPStatusCode() == 429
	}
	var network net.Error
	return errors.As(err, &network) || errors.Is(err, context.DeadlineExceeded)
}
