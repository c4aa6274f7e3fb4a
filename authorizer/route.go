package authorizer

import (
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/angelowl-loyalties/app/loyalty/token"
)

// Route is an operation of the gateway that needs a token.
type Route struct {
	Method string       `json:"method"`
	Path   string       `json:"path"`  // as in the gateway's file: /user/{id}
	Roles  []token.Role `json:"roles"` // who may call it
	Must   []token.Must `json:"must"`  // accounts that must do this first may call it, too
}

//go:embed routes.json
var routes []byte

// Routes are those of the gateway's file, .infra/api/openapi.yaml.
func Routes() ([]Route, error) {
	var out []Route
	if err := json.Unmarshal(routes, &out); err != nil {
		return nil, fmt.Errorf("reading the routes: %w", err)
	}
	return out, nil
}

// isUUID says whether a path parameter is a UUID, which its name tells: id, cardId.
func isUUID(param string) bool { return param == "id" || strings.HasSuffix(param, "Id") }

// mayCall says whether an account may call the route.
func (r Route) mayCall(role token.Role, must token.Must) bool {
	return slices.Contains(r.Roles, role) && (must == token.MustNothing || slices.Contains(r.Must, must))
}

// param is the name of the parameter that a segment of a path is.
func param(segment string) (string, bool) {
	if strings.HasPrefix(segment, "{") && strings.HasSuffix(segment, "}") {
		return segment[1 : len(segment)-1], true
	}
	return "", false
}

func check(routes []Route) error {
	var errs []error
	seen := map[string]bool{}
	for _, r := range routes {
		name := r.Method + " " + r.Path
		switch {
		case !slices.Contains([]string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"}, r.Method):
			errs = append(errs, fmt.Errorf("%s: the method is unknown", name))
		case !strings.HasPrefix(r.Path, "/") || r.Path != "/" && strings.HasSuffix(r.Path, "/") || strings.Contains(r.Path, "//") || strings.ContainsAny(r.Path, "*?"):
			errs = append(errs, fmt.Errorf("%s: the path is odd", name))
		case seen[name]:
			errs = append(errs, fmt.Errorf("%s is there twice", name))
		case len(r.Roles) == 0 || slices.ContainsFunc(r.Roles, func(role token.Role) bool { return !role.Valid() }):
			errs = append(errs, fmt.Errorf("%s: it has no roles, or one that there is not", name))
		case slices.ContainsFunc(r.Must, func(m token.Must) bool { return m != token.MustChangePassword && m != token.MustEnrolTOTP }):
			errs = append(errs, fmt.Errorf("%s: nobody must do what it says", name))
		}
		seen[name] = true
	}
	return errors.Join(errs...)
}
