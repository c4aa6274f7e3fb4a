package secrets

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
)

const arn = "arn:aws:secretsmanager:ap-southeast-1:000000000000:secret:one"

func TestFetch(t *testing.T) {
	source := func(text string) Source {
		return func(_ context.Context, a string) (string, error) {
			if a != arn {
				return "", errors.New("another secret: " + a)
			}
			return text, nil
		}
	}
	for _, test := range []struct {
		name, variable, named, secret string
		want                          string // the variable's value
		err                           string
	}{
		{"a whole secret", "T_PASS", arn, "hush\n", "hush", ""},
		{"a value of one", "T_PASS", arn + ":password::", `{"username": "u", "password": "hush"}`, "hush", ""},
		{"no such value", "T_PASS", arn + ":pass::", `{"password": "hush"}`, "", `T_PASS_ARN: the secret has no text called "pass"`},
		{"a value of what is no object", "T_PASS", arn + ":password::", "hush", "", "T_PASS_ARN: the secret is no JSON object"},
		{"an empty secret", "T_PASS", arn, "\n", "", "T_PASS_ARN: the secret is empty"},
		{"a stage", "T_PASS", arn + ":password:AWSPREVIOUS:", "{}", "", "T_PASS_ARN: is no ARN of a secret"},
		{"not to be had", "T_PASS", arn + "2", "hush", "", "T_PASS_ARN: fetching " + arn + "2"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Setenv(test.variable, "")
			t.Setenv(test.variable+"_ARN", test.named)
			err := fetch(t.Context(), find(os.Environ()), source(test.secret), t.TempDir())
			if (err == nil) != (test.err == "") || err != nil && !strings.HasPrefix(err.Error(), test.err) {
				t.Fatalf("error %v", err)
			}
			if err != nil && strings.Contains(err.Error(), "hush") {
				t.Errorf("the error has the secret: %v", err)
			}
			if got := os.Getenv(test.variable); got != test.want {
				t.Errorf("%s is %q", test.variable, got)
			}
			if _, still := os.LookupEnv(test.variable + "_ARN"); still != (err != nil) {
				t.Errorf("the ARN is still there: %t", still)
			}
		})
	}
}

func TestFetchFile(t *testing.T) {
	t.Setenv("T_CA_FILE", "")
	t.Setenv("T_CA_FILE_ARN", arn)
	dir := t.TempDir()
	if err := fetch(t.Context(), find(os.Environ()), func(context.Context, string) (string, error) { return "certificate", nil }, dir); err != nil {
		t.Fatal(err)
	}
	path := os.Getenv("T_CA_FILE")
	b, err := os.ReadFile(path)
	if err != nil || string(b) != "certificate\n" || !strings.HasPrefix(path, dir) {
		t.Errorf("%s has %q: %v", path, b, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info.Mode(), err)
	}
}

func TestFindLeavesOthersAlone(t *testing.T) {
	got := find([]string{"A_ARN=arn:aws:lambda:r:a:function:f", "B_ARN=" + arn, "C=" + arn, "_ARN=" + arn})
	if len(got) != 1 || got["B"] != arn {
		t.Errorf("%v", got)
	}
}

func TestFromSecretsManager(t *testing.T) {
	answer, status := `{"SecretString": "hush"}`, 200
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if r.Header.Get("X-Amz-Target") != "secretsmanager.GetSecretValue" || string(body) != `{"SecretId":"`+arn+`"}` ||
			!strings.Contains(r.Header.Get("Authorization"), "/ap-southeast-1/secretsmanager/aws4_request") {
			t.Errorf("asked %v %s", r.Header, body)
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, answer)
	}))
	defer srv.Close()
	cfg := aws.Config{BaseEndpoint: &srv.URL, Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{AccessKeyID: "id", SecretAccessKey: "key"}, nil
	})}
	get := from(cfg, srv.Client())
	if text, err := get(t.Context(), arn); err != nil || text != "hush" {
		t.Errorf("%q %v", text, err)
	}
	answer, status = `{"__type": "AccessDeniedException", "Message": "hush"}`, 400
	if text, err := get(t.Context(), arn); err == nil || text != "" || err.Error() != "AWS answers 400 AccessDeniedException" {
		t.Errorf("%q %v", text, err)
	}
	answer, status = `{"SecretBinary": "aHVzaA=="}`, 200
	if _, err := get(t.Context(), arn); err == nil {
		t.Error("a secret of bytes was taken")
	}
}
