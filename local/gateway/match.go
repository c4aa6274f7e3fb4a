package gateway

import "strings"

// tree finds the resource of a path. As with API Gateway a literal segment wins over a parameter, and
// there is no way back: below a literal that is there, its sibling's parameter is not tried.
type tree struct {
	children map[string]*tree // by literal
	param    *tree
	name     string // of the parameter, where this is one
	methods  map[string]*Operation
}

func newTree(ops []*Operation) *tree {
	root := &tree{}
	for _, o := range ops {
		at := root
		for segment := range strings.SplitSeq(o.Path[1:], "/") {
			at = at.child(segment)
		}
		if at.methods == nil {
			at.methods = map[string]*Operation{}
		}
		at.methods[o.Method] = o
	}
	return root
}

func (t *tree) child(segment string) *tree {
	if strings.HasPrefix(segment, "{") {
		if t.param == nil {
			t.param = &tree{name: strings.Trim(segment, "{}")}
		}
		return t.param
	}
	if t.children == nil {
		t.children = map[string]*tree{}
	}
	if t.children[segment] == nil {
		t.children[segment] = &tree{}
	}
	return t.children[segment]
}

// match finds the operation of a path as it was sent, and its parameters. Paths are taken as they are or
// not at all: nothing is decoded, cleaned or folded, so that no two spellings name one resource.
func (t *tree) match(method, path string) (*Operation, map[string]string) {
	if !plain(path) {
		return nil, nil
	}
	var params map[string]string
	for segment := range strings.SplitSeq(path[1:], "/") {
		switch next := t.children[segment]; {
		case next != nil:
			t = next
		case t.param != nil:
			t = t.param
			if params == nil {
				params = map[string]string{}
			}
			params[t.name] = segment
		default:
			return nil, nil
		}
	}
	o := t.methods[method]
	if o == nil {
		return nil, nil
	}
	// Siblings of one place may name it differently; each operation has its own names.
	if len(params) > 0 {
		named := make(map[string]string, len(params))
		segments := strings.Split(path[1:], "/")
		for i, s := range strings.Split(o.Path[1:], "/") {
			if strings.HasPrefix(s, "{") {
				named[strings.Trim(s, "{}")] = segments[i]
			}
		}
		params = named
	}
	return o, params
}

// maxPath is far beyond what the file has.
const maxPath = 2048

// plain says whether a path has nothing that one program reads otherwise than another: only
// segments of RFC 3986's unreserved characters, none empty, none of dots alone.
func plain(path string) bool {
	if len(path) < 2 || len(path) > maxPath || path[0] != '/' {
		return false
	}
	for segment := range strings.SplitSeq(path[1:], "/") {
		if strings.Trim(segment, ".") == "" {
			return false
		}
		for i := range len(segment) {
			switch c := segment[i]; {
			case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '.', c == '_', c == '~':
			default:
				return false
			}
		}
	}
	return true
}
