//go:build unix

package infra_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	kmstypes "github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"

	"github.com/angelowl-loyalties/app/local/moto"
)

// TestApply applies what a simulator of AWS serves, looks at it as AWS's clients do, plans again, which must change
// nothing, and destroys it.
func TestApply(t *testing.T) {
	if os.Getenv("ANGELOWL_LONG") == "" {
		t.Skip("SKIPPED: ANGELOWL_LONG=1 applies for real, against a simulator, for some minutes")
	}
	needed(t)
	endpoint := moto.Start(t)
	t.Setenv("AWS_ENDPOINT_URL", endpoint)
	t.Setenv("NO_PROXY", "127.0.0.1")
	dir, state := filepath.Join(root, "tests/simulated"), "-state="+filepath.Join(t.TempDir(), "terraform.tfstate")
	data := initialised(t, dir)
	if out, err := terraform(t, dir, data, "apply", "-auto-approve", "-no-color", "-input=false", "-lock=false", state); err != nil {
		t.Fatalf("%v\n%s", err, tail(out))
	}
	out, err := terraform(t, dir, data, "output", "-json", state)
	if err != nil {
		t.Fatal(err)
	}
	var made struct {
		Buckets struct{ Value map[string]string }
		Tokens  struct{ Value []string }
	}
	if err := json.Unmarshal(out, &made); err != nil || len(made.Buckets.Value) != 4 || len(made.Tokens.Value) != 2 {
		t.Fatalf("%v: %s", err, out)
	}
	cfg := aws.Config{Region: "ap-southeast-1", BaseEndpoint: &endpoint, Credentials: credentials.NewStaticCredentialsProvider("simulated", "simulated", "")}
	files := s3.NewFromConfig(cfg, func(o *s3.Options) { o.UsePathStyle = true })
	for kind, name := range made.Buckets.Value {
		if got, err := files.GetPublicAccessBlock(t.Context(), &s3.GetPublicAccessBlockInput{Bucket: &name}); err != nil ||
			!*got.PublicAccessBlockConfiguration.BlockPublicPolicy || !*got.PublicAccessBlockConfiguration.RestrictPublicBuckets {
			t.Errorf("the bucket of %s can be public: %v", kind, err)
		}
		if got, err := files.GetBucketLifecycleConfiguration(t.Context(), &s3.GetBucketLifecycleConfigurationInput{Bucket: &name}); err != nil ||
			(kind == "spend" || kind == "users") && *got.Rules[0].Expiration.Days != 7 {
			t.Errorf("what is in the bucket of %s does not expire: %v", kind, err)
		}
	}
	signer := kms.NewFromConfig(cfg)
	for _, id := range made.Tokens.Value {
		if _, err := signer.Sign(t.Context(), &kms.SignInput{KeyId: &id, Message: []byte("token"), MessageType: kmstypes.MessageTypeRaw, SigningAlgorithm: kmstypes.SigningAlgorithmSpecEcdsaSha256}); err != nil {
			t.Errorf("%s cannot sign tokens: %v", id, err)
		}
	}
	if out, err := terraform(t, dir, data, "plan", "-detailed-exitcode", "-no-color", "-input=false", "-lock=false", state); err != nil {
		t.Errorf("a second plan would change something: %v\n%s", err, tail(out))
	}
	if out, err := terraform(t, dir, data, "destroy", "-auto-approve", "-no-color", "-input=false", "-lock=false", state); err != nil {
		t.Fatalf("%v\n%s", err, tail(out))
	}
	for kind, name := range made.Buckets.Value {
		var api smithy.APIError
		if _, err := files.HeadBucket(t.Context(), &s3.HeadBucketInput{Bucket: &name}); !errors.As(err, &api) {
			t.Errorf("the bucket of %s is still there: %v", kind, err)
		}
	}
}

// tail is the end of a long output.
func tail(out []byte) []byte {
	lines := bytes.SplitAfter(out, []byte("\n"))
	return bytes.Join(lines[max(0, len(lines)-60):], nil)
}
