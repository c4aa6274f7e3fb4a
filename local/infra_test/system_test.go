//go:build unix

package infra_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/angelowl-loyalties/app/local/gateway"
)

// resource is one that Terraform would make.
type resource struct {
	Address string         `json:"address"`
	Mode    string         `json:"mode"`
	Type    string         `json:"type"`
	Values  map[string]any `json:"values"`
}

type module struct {
	Resources []resource `json:"resources"`
	Modules   []module   `json:"child_modules"`
}

func (m module) all() (out []resource) {
	for _, r := range m.Resources {
		if r.Mode == "managed" {
			out = append(out, r)
		}
	}
	for _, c := range m.Modules {
		out = append(out, c.all()...)
	}
	return out
}

// system is what Terraform would make of .infra.
type system struct {
	resources []resource
	outputs   map[string]json.RawMessage
}

func (s system) of(t testing.TB, kind string) []resource {
	t.Helper()
	var out []resource
	for _, r := range s.resources {
		if r.Type == kind {
			out = append(out, r)
		}
	}
	if len(out) == 0 {
		t.Errorf("there is no %s", kind)
	}
	return out
}

// at is a value within a resource: keys and places of lists, such as "rule", 0, "filter".
func (r resource) at(path ...any) any {
	var v any = r.Values
	for _, p := range path {
		switch p := p.(type) {
		case string:
			m, _ := v.(map[string]any)
			v = m[p]
		case int:
			l, _ := v.([]any)
			if p >= len(l) {
				return nil
			}
			v = l[p]
		}
	}
	return v
}

// want says which values of a resource are not what they should be.
func (r resource) want(t testing.TB, want any, path ...any) {
	t.Helper()
	if got := r.at(path...); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%s: %v is %v, not %v", r.Address, path, got, want)
	}
}

// set says that a value must not be empty.
func (r resource) set(t testing.TB, path ...any) {
	t.Helper()
	if got := r.at(path...); got == nil || got == "" || got == false {
		t.Errorf("%s: %v is not set", r.Address, path)
	}
}

func TestSystem(t *testing.T) {
	needed(t)
	t.Parallel()
	var state struct {
		Root    module `json:"root_module"`
		Outputs map[string]struct {
			Value json.RawMessage `json:"value"`
		} `json:"outputs"`
	}
	if err := json.Unmarshal(tested(t, initialised(t, root), "system.tftest.hcl")["production"], &state); err != nil {
		t.Fatal(err)
	}
	s := system{resources: state.Root.all(), outputs: map[string]json.RawMessage{}}
	for name, o := range state.Outputs {
		s.outputs[name] = o.Value
	}
	if len(s.resources) < 300 {
		t.Fatalf("Terraform would make %d resources", len(s.resources))
	}
	for name, test := range map[string]func(*testing.T, system){
		"names":             names,
		"rights":            rights,
		"who may":           openTo,
		"buckets":           buckets,
		"encryption":        encryption,
		"network":           network,
		"gateway":           gatewaySettings,
		"programs":          programs,
		"settings":          settings,
		"machines":          machines,
		"secrets":           secretValues,
		"failed events":     failedEvents,
		"what stores stays": protection,
		"what is paid for":  counted,
	} {
		t.Run(name, func(t *testing.T) { test(t, s) })
	}
}

// names: two environments of one account must not meet.
func names(t *testing.T, s system) {
	// Those whose names are paths, AWS's or the domain's: the next loop and other tests look at them.
	free := regexp.MustCompile(`^aws_(default_security_group|ecr_repository_policy|route53_record|lambda_permission|iam_role_policy|scheduler_schedule|eks_addon|kms_alias|sesv2_email_identity|lb_target_group|cloudwatch_log_group|secretsmanager_secret|route53_zone)$`)
	for _, r := range s.resources {
		if free.MatchString(r.Type) {
			continue
		}
		// Of a name and its prefix Terraform takes one, and AWS makes up the other.
		var names []string
		for _, key := range []string{"name", "name_prefix", "function_name", "identifier", "bucket_prefix", "configuration_set_name", "cluster_name", "alarm_name"} {
			if name, _ := r.Values[key].(string); name != "" {
				names = append(names, name)
			}
		}
		ours := func(name string) bool { return strings.HasPrefix(name, "angelowl-production") }
		if len(names) > 0 && !slices.ContainsFunc(names, ours) {
			t.Errorf("%s: its name, %s, does not begin with the environment's", r.Address, strings.Join(names, " or "))
		}
	}
	for _, kind := range []string{"aws_secretsmanager_secret", "aws_cloudwatch_log_group", "aws_ecr_repository", "aws_kms_alias"} {
		for _, r := range s.of(t, kind) {
			if !strings.Contains(r.at("name").(string), "angelowl-production") {
				t.Errorf("%s is called %s", r.Address, r.at("name"))
			}
		}
	}
}

// statement is one of IAM's.
type statement struct {
	Sid       string
	Effect    string
	Action    any
	NotAction any
	Resource  any
	Principal any
	Condition map[string]map[string]any
}

func texts(v any) (out []string) {
	switch v := v.(type) {
	case string:
		return []string{v}
	case []any:
		for _, e := range v {
			out = append(out, fmt.Sprint(e))
		}
	case map[string]any:
		for _, e := range v {
			out = append(out, texts(e)...)
		}
	}
	return out
}

func statements(t testing.TB, name string, policy any) []statement {
	t.Helper()
	text, _ := policy.(string)
	var p struct{ Statement []statement }
	if err := json.Unmarshal([]byte(text), &p); err != nil || len(p.Statement) == 0 {
		t.Errorf("%s: its policy has no statement: %v\n%.300s", name, err, text)
	}
	return p.Statement
}

// reasons are the statements that may name every resource, each with why AWS leaves no other way.
var reasons = map[string]string{
	"NetworkInterfaces":   "EC2 has no resource for a lambda's interfaces before they are there; NotTheProgram denies them to the program",
	"FindDisks":           "EC2's Describe calls know no resources",
	"RegistryLogin":       "ECR gives out one login for a registry",
	"LookAtLoadBalancers": "Describe calls of EC2 and ELB know no resources",
	// In a key's own policy * is that key.
	"TheAccountsPoliciesDecide": "a key's policy: the key itself, for whom IAM lets",
	"Logs":                      "a key's policy: the key itself, for logs of this account",
	"AlarmsAndFailedEvents":     "a key's policy: the key itself, for this account",
	"DisksOfAutoscaledNodes":    "a key's policy: the key itself, for AWS's resources",
}

// wide says what is wrong with a right, or "".
func wide(s statement, keyPolicy bool) string {
	if s.Effect != "Allow" {
		return ""
	}
	if s.NotAction != nil {
		return "allows all but some actions"
	}
	for _, a := range texts(s.Action) {
		switch {
		case a == "*" || strings.HasSuffix(a, ":*") && !(keyPolicy && s.Sid == "TheAccountsPoliciesDecide"):
			return "allows " + a
		case strings.Contains(a, "*") && !keyPolicy:
			return "allows " + a
		}
	}
	for _, r := range texts(s.Resource) {
		if r == "*" && reasons[s.Sid] == "" {
			return "is about every resource, and " + s.Sid + " is not among the reasons"
		}
		if r != "*" && strings.Count(r, "*") > 1 {
			return "is about " + r
		}
	}
	return ""
}

func TestWide(t *testing.T) {
	for _, test := range []struct {
		name string
		s    statement
		bad  bool
	}{
		{"one thing", statement{Effect: "Allow", Action: "s3:GetObject", Resource: "arn:aws:s3:::b/*"}, false},
		{"everything", statement{Effect: "Allow", Action: "*", Resource: "arn"}, true},
		{"a service", statement{Effect: "Allow", Action: []any{"s3:*"}, Resource: "arn"}, true},
		{"some of a service", statement{Effect: "Allow", Action: []any{"s3:Get*"}, Resource: "arn"}, true},
		{"all but", statement{Effect: "Allow", NotAction: "s3:GetObject", Resource: "arn"}, true},
		{"every resource", statement{Sid: "Sure", Effect: "Allow", Action: "s3:GetObject", Resource: []any{"arn", "*"}}, true},
		{"every resource, with a reason", statement{Sid: "RegistryLogin", Effect: "Allow", Action: "ecr:GetAuthorizationToken", Resource: "*"}, false},
		{"a denial", statement{Effect: "Deny", Action: "*", Resource: "*"}, false},
	} {
		if got := wide(test.s, false); (got != "") != test.bad {
			t.Errorf("%s: %q", test.name, got)
		}
	}
}

// managed are the policies of AWS's own that may be used.
var managed = []string{"AmazonEKSClusterPolicy", "AmazonEKSWorkerNodePolicy", "AmazonEC2ContainerRegistryPullOnly", "AmazonEKS_CNI_Policy", "AmazonSSMManagedInstanceCore"}

func rights(t *testing.T, s system) {
	seen := map[string]bool{}
	for _, r := range s.of(t, "aws_iam_role_policy") {
		for _, st := range statements(t, r.Address, r.at("policy")) {
			seen[st.Sid] = true
			if bad := wide(st, false); bad != "" {
				t.Errorf("%s: %s %s", r.Address, st.Sid, bad)
			}
		}
	}
	for _, r := range s.of(t, "aws_kms_key") {
		for _, st := range statements(t, r.Address, r.at("policy")) {
			seen[st.Sid] = true
			if bad := wide(st, true); bad != "" {
				t.Errorf("%s: %s %s", r.Address, st.Sid, bad)
			}
		}
	}
	for sid := range reasons {
		if !seen[sid] {
			t.Errorf("%s has a reason and is nowhere", sid)
		}
	}
	for _, r := range s.of(t, "aws_iam_role_policy_attachment") {
		arn := r.at("policy_arn").(string)
		if !slices.Contains(managed, arn[strings.LastIndex(arn, "/")+1:]) {
			t.Errorf("%s: %s", r.Address, arn)
		}
	}
	for _, r := range s.resources {
		switch r.Type {
		case "aws_iam_user", "aws_iam_access_key", "aws_iam_group", "aws_iam_user_policy", "aws_key_pair":
			t.Errorf("%s: nobody has a key that could be stolen", r.Address)
		}
	}
}

// openTo: whose rights they are.
func openTo(t *testing.T, s system) {
	for _, r := range s.of(t, "aws_iam_role") {
		for _, st := range statements(t, r.Address, r.at("assume_role_policy")) {
			principal, _ := st.Principal.(map[string]any)
			if len(principal) != 1 || principal["Service"] == nil && principal["Federated"] == nil {
				t.Errorf("%s may be taken by %v", r.Address, st.Principal)
			}
			if principal["Federated"] != nil {
				equal, sub, aud := st.Condition["StringEquals"], false, false
				for k, v := range equal {
					sub = sub || strings.HasSuffix(k, ":sub") && !strings.Contains(fmt.Sprint(v), "*")
					aud = aud || strings.HasSuffix(k, ":aud")
				}
				if !sub || !aud || len(st.Condition) != 1 {
					t.Errorf("%s may be taken by more than one account: %v", r.Address, st.Condition)
				}
			}
		}
	}
	for _, kind := range []string{"aws_kms_key", "aws_s3_bucket_policy", "aws_sns_topic_policy", "aws_sqs_queue_policy", "aws_ecr_repository_policy"} {
		for _, r := range s.of(t, kind) {
			for _, st := range statements(t, r.Address, r.at("policy")) {
				if st.Effect == "Allow" && slices.Contains(texts(st.Principal), "*") {
					t.Errorf("%s: %s is for everybody", r.Address, st.Sid)
				}
			}
		}
	}
	for _, r := range s.of(t, "aws_lambda_permission") {
		r.set(t, "source_arn")
	}
}

func buckets(t *testing.T, s system) {
	of := func(kind string) map[string]resource {
		out := map[string]resource{}
		for _, r := range s.of(t, kind) {
			out[r.Address[strings.Index(r.Address, "["):]] = r
		}
		return out
	}
	all := of("aws_s3_bucket")
	if len(all) != 4 {
		t.Errorf("there are %d buckets", len(all))
	}
	blocks, ciphers, policies, cycles := of("aws_s3_bucket_public_access_block"), of("aws_s3_bucket_server_side_encryption_configuration"), of("aws_s3_bucket_policy"), of("aws_s3_bucket_lifecycle_configuration")
	for key, b := range all {
		for _, what := range []string{"block_public_acls", "block_public_policy", "ignore_public_acls", "restrict_public_buckets"} {
			blocks[key].want(t, true, what)
		}
		ciphers[key].want(t, "aws:kms", "rule", 0, "apply_server_side_encryption_by_default", 0, "sse_algorithm")
		ciphers[key].set(t, "rule", 0, "apply_server_side_encryption_by_default", 0, "kms_master_key_id")
		tls := false
		for _, st := range statements(t, b.Address, policies[key].at("policy")) {
			tls = tls || st.Effect == "Deny" && fmt.Sprint(st.Principal) == "*" && fmt.Sprint(st.Condition["Bool"]["aws:SecureTransport"]) == "false"
		}
		if !tls {
			t.Errorf("%s can be had without TLS", b.Address)
		}
		b.want(t, false, "force_destroy")
	}
	for _, key := range []string{`["spend"]`, `["users"]`} {
		cycles[key].want(t, 7, "rule", 0, "expiration", 0, "days")
	}
	for _, r := range s.resources {
		switch r.Type {
		case "aws_s3_bucket_acl", "aws_s3_bucket_website_configuration":
			t.Errorf("%s: no bucket is public", r.Address)
		}
	}
}

func encryption(t *testing.T, s system) {
	for kind, path := range map[string][]any{
		"aws_ebs_volume":            {"kms_key_id"},
		"aws_cloudwatch_log_group":  {"kms_key_id"},
		"aws_sqs_queue":             {"kms_master_key_id"},
		"aws_sns_topic":             {"kms_master_key_id"},
		"aws_secretsmanager_secret": {"kms_key_id"},
		"aws_ecr_repository":        {"encryption_configuration", 0, "kms_key"},
		"aws_instance":              {"root_block_device", 0, "kms_key_id"},
		"aws_launch_template":       {"block_device_mappings", 0, "ebs", 0, "kms_key_id"},
		"aws_msk_cluster":           {"encryption_info", 0, "encryption_at_rest_kms_key_arn"},
		"aws_eks_cluster":           {"encryption_config", 0, "provider", 0, "key_arn"},
		"aws_lambda_function":       {"kms_key_arn"},
		"aws_db_instance":           {"kms_key_id"},
	} {
		for _, r := range s.of(t, kind) {
			r.set(t, path...)
		}
	}
	for _, r := range s.of(t, "aws_ebs_volume") {
		r.want(t, true, "encrypted")
	}
	for _, r := range s.of(t, "aws_lb_listener") {
		if p := r.at("protocol"); p != "TLS" && p != "HTTPS" {
			t.Errorf("%s speaks %s", r.Address, p)
		}
		r.want(t, "ELBSecurityPolicy-TLS13-1-2-2021-06", "ssl_policy")
		r.set(t, "certificate_arn")
	}
	// And to the pods, whose ports the chart encrypts.
	for _, r := range s.of(t, "aws_lb_target_group") {
		if p := r.at("protocol"); p != "TLS" && p != "HTTPS" {
			t.Errorf("%s speaks %s to pods", r.Address, p)
		}
		r.want(t, "HTTPS", "health_check", 0, "protocol")
	}
	for _, r := range s.of(t, "aws_msk_cluster") {
		r.want(t, "TLS", "encryption_info", 0, "encryption_in_transit", 0, "client_broker")
		r.want(t, true, "encryption_info", 0, "encryption_in_transit", 0, "in_cluster")
		r.want(t, false, "client_authentication", 0, "unauthenticated")
	}
	for _, r := range s.of(t, "aws_db_instance") {
		r.want(t, true, "storage_encrypted")
		r.want(t, false, "publicly_accessible")
		r.want(t, true, "multi_az")
	}
	tokens := 0
	for _, r := range s.of(t, "aws_kms_key") {
		if r.at("key_usage") == "SIGN_VERIFY" {
			r.want(t, "ECC_NIST_P256", "customer_master_key_spec")
			tokens++
			continue
		}
		r.want(t, true, "enable_key_rotation")
	}
	if tokens == 0 {
		t.Error("no key signs tokens")
	}
}

func network(t *testing.T, s system) {
	for _, r := range s.of(t, "aws_vpc_security_group_ingress_rule") {
		if (fmt.Sprint(r.at("cidr_ipv4")) == "0.0.0.0/0" || r.at("cidr_ipv6") != nil) && r.Address != "module.portal.aws_vpc_security_group_ingress_rule.everybody" {
			t.Errorf("%s lets everybody in", r.Address)
		}
		if r.at("ip_protocol") != "tcp" || r.at("from_port") != r.at("to_port") {
			t.Errorf("%s lets in more than one port", r.Address)
		}
	}
	for _, r := range s.of(t, "aws_vpc_security_group_egress_rule") {
		if fmt.Sprint(r.at("cidr_ipv4")) == "0.0.0.0/0" && !strings.HasPrefix(r.Address, `module.lambda["emailer"]`) {
			t.Errorf("%s lets out to everybody", r.Address)
		}
	}
	for _, r := range s.of(t, "aws_subnet") {
		r.want(t, false, "map_public_ip_on_launch")
	}
	for _, kind := range []string{"aws_instance", "aws_launch_template"} {
		for _, r := range s.of(t, kind) {
			r.want(t, "required", "metadata_options", 0, "http_tokens")
			r.want(t, 1, "metadata_options", 0, "http_put_response_hop_limit")
		}
	}
	for _, r := range s.of(t, "aws_lb") {
		r.want(t, !strings.HasPrefix(r.Address, "module.portal."), "internal")
	}
	for _, r := range s.of(t, "aws_eks_cluster") {
		r.want(t, false, "vpc_config", 0, "endpoint_public_access")
	}
}

// loggable are what an access log may have of a request: nothing that a client writes but the method.
var loggable = []string{
	"requestTime", "requestId", "httpMethod", "resourcePath", "status", "error.responseType", "authorizer.principalId", "identity.sourceIp",
	"responseLatency", "integration.latency", "integration.status", "responseLength",
}

func gatewaySettings(t *testing.T, s system) {
	for _, r := range s.of(t, "aws_api_gateway_stage") {
		format, _ := r.at("access_log_settings", 0, "format").(string)
		found := regexp.MustCompile(`\$context\.([A-Za-z.]+)`).FindAllStringSubmatch(format, -1)
		if len(found) < 8 || strings.Count(format, "$") != len(found) {
			t.Errorf("the access log has %d values: %s", len(found), format)
		}
		for _, f := range found {
			if !slices.Contains(loggable, f[1]) {
				t.Errorf("the access log has %s", f[1])
			}
		}
	}
	file, err := gateway.Load(filepath.Join(root, "api/openapi.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]gateway.Throttle{"*/*": *file.Throttle}
	for _, o := range file.Operations {
		if o.Throttle != nil {
			want[strings.TrimPrefix(o.Path, "/")+"/"+o.Method] = *o.Throttle
		}
	}
	for _, r := range s.of(t, "aws_api_gateway_method_settings") {
		path := r.at("method_path").(string)
		limit, ok := want[path]
		delete(want, path)
		if !ok {
			t.Errorf("the file has no limit for %s", path)
		}
		r.want(t, limit.Rate, "settings", 0, "throttling_rate_limit")
		r.want(t, limit.Burst, "settings", 0, "throttling_burst_limit")
		r.want(t, false, "settings", 0, "data_trace_enabled")
		r.want(t, "OFF", "settings", 0, "logging_level")
		r.want(t, false, "settings", 0, "caching_enabled")
	}
	if len(want) > 0 {
		t.Errorf("limits of the file that Terraform does not set: %v", want)
	}
	for _, r := range s.of(t, "aws_api_gateway_rest_api") {
		body := r.at("body").(string)
		if strings.Contains(body, "${") || strings.Contains(body, "uri: http://") || strings.Count(body, "uri: https://") < 50 {
			t.Error("the gateway's file is not filled in, or its services are had without TLS")
		}
		var any map[string]any
		if err := yaml.Unmarshal([]byte(body), &any); err != nil {
			t.Error(err)
		}
	}
}

// folders are the programs of go.work, by whether they are lambdas. The list is made from the code, so a new
// one cannot be forgotten here.
func folders(t testing.TB) (services, lambdas []string) {
	t.Helper()
	work := string(read(t, "../../go.work"))
	for _, m := range regexp.MustCompile(`(?m)^\s+\./([a-z-]+)$`).FindAllStringSubmatch(work, -1) {
		if m[1] == "local" || m[1] == "loyalty" {
			continue
		}
		mains, _ := filepath.Glob("../../" + m[1] + "/cmd/*/main.go")
		if len(mains) == 0 {
			t.Errorf("%s has no program", m[1])
		}
		for _, main := range mains {
			code, name := string(read(t, main)), filepath.Base(filepath.Dir(main))
			switch {
			case strings.Contains(code, `"github.com/aws/aws-lambda-go/lambda"`):
				lambdas = append(lambdas, name)
			case strings.Contains(code, "daemon.Main("):
				services = append(services, name)
			}
		}
	}
	if len(services) < 4 || len(lambdas) < 7 {
		t.Fatalf("services %v, lambdas %v", services, lambdas)
	}
	return services, lambdas
}

func programs(t *testing.T, s system) {
	services, lambdas := folders(t)
	has := func(kind, key string, want ...string) {
		t.Helper()
		have := map[string]bool{}
		for _, r := range s.of(t, kind) {
			have[fmt.Sprint(r.at(key))] = true
		}
		for _, w := range want {
			if !have[w] {
				t.Errorf("there is no %s whose %s is %s", kind, key, w)
			}
		}
	}
	for _, name := range lambdas {
		full := "angelowl-production-" + name
		has("aws_lambda_function", "function_name", full)
		has("aws_iam_role", "name", full)
		has("aws_cloudwatch_log_group", "name", "/aws/lambda/"+full)
		has("aws_ecr_repository", "name", "angelowl-production/"+name)
		has("aws_cloudwatch_metric_alarm", "alarm_name", full+"-errors", full+"-throttles")
	}
	for _, name := range services {
		has("aws_iam_role", "name", "angelowl-production-"+name)
		has("aws_ecr_repository", "name", "angelowl-production/"+name)
	}
	if n := len(s.of(t, "aws_lambda_function")); n != len(lambdas) {
		t.Errorf("Terraform makes %d lambdas; go.work has %d", n, len(lambdas))
	}
	for _, r := range s.of(t, "aws_lambda_function") {
		name := r.at("function_name").(string)
		r.set(t, "vpc_config", 0, "subnet_ids")
		if strings.HasSuffix(name, "-emailer") {
			r.want(t, 1, "reserved_concurrent_executions")
		}
	}
}

// setting is a row of docs/configuration.md, which is made from the programs.
type setting struct{ needed, secret bool }

func documented(t testing.TB, program string) map[string]setting {
	t.Helper()
	text := string(read(t, "../../docs/configuration.md"))
	_, rest, found := strings.Cut(text, "<!-- begin "+program+" -->")
	table, _, ended := strings.Cut(rest, "<!-- end "+program+" -->")
	if !found || !ended {
		t.Fatalf("docs/configuration.md has no table of %s", program)
	}
	out := map[string]setting{}
	for _, row := range regexp.MustCompile("(?m)^\\| `([A-Z_]+)` \\| (.*?) \\| (.*) \\|$").FindAllStringSubmatch(table, -1) {
		out[row[1]] = setting{needed: row[2] == "**needed**", secret: strings.Contains(row[3], "a secret, "+row[1]+"_FILE")}
	}
	if len(out) == 0 {
		t.Fatalf("%s has no settings", program)
	}
	return out
}

// settings: every variable is one that the program knows, a lambda has all that it needs, and secrets are set by name
// alone. (What services get, the chart says, and its tests.)
func settings(t *testing.T, s system) {
	type of struct{ Settings, Secrets map[string]string }
	var services, lambdas map[string]of
	for name, into := range map[string]*map[string]of{"services": &services, "lambdas": &lambdas} {
		if err := json.Unmarshal(s.outputs[name], into); err != nil {
			t.Fatal(err)
		}
	}
	serviceNames, lambdaNames := folders(t)
	all := maps.Clone(services)
	maps.Copy(all, lambdas)
	for _, program := range slices.Concat(serviceNames, lambdaNames) {
		o, ok := all[program]
		if !ok {
			t.Errorf("%s has no settings", program)
			continue
		}
		known := documented(t, program)
		for name := range o.Settings {
			if _, ok := known[name]; !ok {
				t.Errorf("%s does not know %s", program, name)
			}
			// The reward store's DB_CONN_STRING names hosts; it is PostgreSQL's that may hold a password.
			if known[name].secret {
				t.Errorf("%s gets the secret %s readable", program, name)
			}
		}
		for name, arn := range o.Secrets {
			if k, ok := known[name]; !ok {
				t.Errorf("%s does not know %s", program, name)
			} else if !k.secret && !strings.HasSuffix(name, "_FILE") {
				t.Errorf("%s: %s is no secret", program, name)
			}
			if !strings.HasPrefix(arn, "arn:aws:secretsmanager:") {
				t.Errorf("%s gets %s from %q", program, name, arn)
			}
		}
		for name, k := range known {
			// campaignex and profiler take a user and a password beside a DB_CONN_STRING that has neither.
			missing := o.Secrets[name] == "" && (lambdas[program].Settings != nil && o.Settings[name] == "" || services[program].Secrets != nil && k.secret && name != "DB_CONN_STRING")
			if k.needed && missing {
				t.Errorf("%s needs %s", program, name)
			}
		}
		for name, value := range o.Settings {
			if strings.Contains(value, "http://") {
				t.Errorf("%s: %s is without TLS: %s", program, name, value)
			}
		}
		for name, want := range map[string]string{"BROKER_HOST": "BROKER_TLS=true", "DB_KEYSPACE": "DB_SSL=true"} {
			if key, value, _ := strings.Cut(want, "="); o.Settings[name] != "" && o.Settings[key] != value {
				t.Errorf("%s: %s, and %s is %q", program, name, key, o.Settings[key])
			}
		}
	}
	for _, r := range s.of(t, "aws_lambda_function") {
		program := strings.TrimPrefix(r.at("function_name").(string), "angelowl-production-")
		set, _ := r.at("environment", 0, "variables").(map[string]any)
		want := maps.Clone(lambdas[program].Settings)
		for k, v := range lambdas[program].Secrets {
			want[k+"_ARN"] = v
		}
		if fmt.Sprint(set) != fmt.Sprint(want) {
			t.Errorf("%s gets %v, not %v", program, set, want)
		}
	}
	var chart string
	var values map[string]any
	if err := json.Unmarshal(s.outputs["chart_values"], &chart); err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal([]byte(chart), &values); err != nil || len(values) < 10 {
		t.Errorf("the chart cannot read its values: %v\n%s", err, chart)
	}
}

// machines: what Cassandra's and etcd's machines run at their first start can be run, and says what it must.
func machines(t *testing.T, s system) {
	scripts := 0
	for _, r := range s.of(t, "aws_instance") {
		if !strings.Contains(r.Address, "module.machines") {
			continue
		}
		scripts++
		script := gunzip(t, r.at("user_data_base64").(string))
		if len(script) > 60_000 || strings.Contains(script, "%{") {
			t.Errorf("%s: %d bytes", r.Address, len(script))
		}
		check := exec.Command("bash", "-n")
		check.Stdin = strings.NewReader(script)
		if out, err := check.CombinedOutput(); err != nil {
			t.Errorf("%s: bash cannot read it: %v\n%s", r.Address, err, out)
		}
		_, rest, found := strings.Cut(script, "<<'YAML'\n")
		text, _, ended := strings.Cut(rest, "\nYAML\n")
		var conf map[string]any
		if err := yaml.Unmarshal([]byte(text), &conf); err != nil || !found || !ended || len(conf) < 10 {
			t.Errorf("%s: its configuration cannot be read: %v", r.Address, err)
		}
		get := func(path ...string) any {
			var v any = conf
			for _, p := range path {
				m, _ := v.(map[string]any)
				v = m[p]
			}
			return v
		}
		want := map[string]any{"peer-transport-security client-cert-auth": true}
		if strings.Contains(r.Address, "cassandra") {
			want = map[string]any{
				"commitlog_sync": "group", "authenticator": "PasswordAuthenticator", "authorizer": "CassandraAuthorizer",
				"server_encryption_options internode_encryption": "all", "client_encryption_options enabled": true, "client_encryption_options optional": false,
			}
		} else {
			for _, url := range []string{"listen-client-urls", "listen-peer-urls"} {
				if !strings.HasPrefix(fmt.Sprint(get(url)), "https://") {
					t.Errorf("%s: %s is %v", r.Address, url, get(url))
				}
			}
		}
		for path, w := range want {
			if got := get(strings.Fields(path)...); got != w {
				t.Errorf("%s: %s is %v, not %v", r.Address, path, got, w)
			}
		}
	}
	if scripts != 6 {
		t.Errorf("%d machines of Cassandra and etcd", scripts)
	}
}

// secretValues: none goes through Terraform, whose state keeps what it knows.
func secretValues(t *testing.T, s system) {
	for _, r := range s.resources {
		switch {
		case r.Type == "aws_secretsmanager_secret_version" || strings.HasPrefix(r.Type, "random_") || strings.HasPrefix(r.Type, "tls_"):
			t.Errorf("%s keeps a secret in the state", r.Address)
		case r.Type == "aws_db_instance":
			r.want(t, true, "manage_master_user_password")
			if r.at("password") != nil {
				t.Errorf("%s has a password in the state", r.Address)
			}
		}
	}
}

// failedEvents: what nobody waits for is kept where it fails, and somebody is told.
func failedEvents(t *testing.T, s system) {
	kept := map[string]bool{}
	for _, r := range s.of(t, "aws_lambda_function_event_invoke_config") {
		r.set(t, "destination_config", 0, "on_failure", 0, "destination")
		kept[r.at("function_name").(string)] = true
	}
	for _, name := range []string{"ingestor", "pet-rock", "passworder"} {
		if !kept["angelowl-production-"+name] {
			t.Errorf("%s loses what fails", name)
		}
	}
	alarms := map[string]bool{}
	for _, r := range s.of(t, "aws_cloudwatch_metric_alarm") {
		r.set(t, "alarm_actions")
		alarms[fmt.Sprint(r.at("dimensions", "QueueName"))] = true
	}
	for _, r := range s.of(t, "aws_sqs_queue") {
		if !alarms[r.at("name").(string)] {
			t.Errorf("nobody is told of what comes into %s", r.at("name"))
		}
	}
	for _, r := range s.of(t, "aws_scheduler_schedule") {
		r.want(t, "Asia/Singapore", "schedule_expression_timezone")
	}
	if n := len(s.of(t, "aws_scheduler_schedule")); n != 4 {
		t.Errorf("%d schedules", n)
	}
}

func protection(t *testing.T, s system) {
	for _, r := range s.of(t, "aws_db_instance") {
		r.want(t, true, "deletion_protection")
		r.want(t, 35, "backup_retention_period")
	}
	for _, r := range s.of(t, "aws_instance") {
		if strings.Contains(r.Address, "module.machines") {
			r.want(t, true, "disable_api_termination")
		}
	}
}

// counted: docs/deploy.md's costs are of what Terraform makes.
func counted(t *testing.T, s system) {
	interfaces := 0
	for _, r := range s.of(t, "aws_vpc_endpoint") {
		if r.at("vpc_endpoint_type") == "Interface" {
			interfaces++
		}
	}
	for what, n := range map[string][2]int{
		"endpoints":      {interfaces, endpoints},
		"NAT gateways":   {len(s.of(t, "aws_nat_gateway")), nats},
		"load balancers": {len(s.of(t, "aws_lb")), balancers},
		"keys":           {len(s.of(t, "aws_kms_key")), keys},
		"secrets":        {len(s.of(t, "aws_secretsmanager_secret")), secrets},
		"alarms":         {len(s.of(t, "aws_cloudwatch_metric_alarm")), alarms},
	} {
		if n[0] != n[1] {
			t.Errorf("Terraform makes %d %s; cost_test.go counts %d", n[0], what, n[1])
		}
	}
}

// TestNobodysOwn: no account, key, address or domain of anybody's stands in the files.
func TestNobodysOwn(t *testing.T) {
	account := regexp.MustCompile(`\b[0-9]{12}\b`)
	key := regexp.MustCompile(`\b(AKIA|ASIA)[A-Z0-9]{12,}|BEGIN [A-Z ]*PRIVATE KEY|aws_secret_access_key\s*=`)
	mail := regexp.MustCompile(`[\w.]+@([\w-]+\.)+[a-z]{2,}`)
	files := 0
	err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if d.Name() == ".terraform" {
				return filepath.SkipDir
			}
			return nil
		}
		if d.Name() == ".terraform.lock.hcl" || d.Name() == "openapi.yaml" || strings.HasPrefix(d.Name(), "local") && strings.HasSuffix(d.Name(), ".tfvars") {
			return nil
		}
		files++
		text := string(read(t, path))
		for _, found := range account.FindAllString(text, -1) {
			if found != "000000000000" && found != "536870912000" {
				t.Errorf("%s has what looks like an account: %s", path, found)
			}
		}
		if found := key.FindString(text); found != "" && !strings.Contains(path, "bin/") {
			t.Errorf("%s has what looks like a key: %.12s", path, found)
		}
		for _, found := range mail.FindAllString(text, -1) {
			if !strings.HasSuffix(found, ".example") {
				t.Errorf("%s has an address: %s", path, found)
			}
		}
		return nil
	})
	if err != nil || files < 80 {
		t.Errorf("%d files: %v", files, err)
	}
}
