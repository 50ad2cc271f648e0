package rig

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
)

// API is an OpenAPI 3.0.3 document that a test checks a server against.
type API struct {
	*openapi3.T
	t      testing.TB
	router routers.Router
	tried  map[string]bool
}

// OpenAPI loads and validates an OpenAPI document.
func OpenAPI(t testing.TB, file string) *API {
	t.Helper()
	load := openapi3.NewLoader()
	load.IsExternalRefsAllowed = true
	doc, err := load.LoadFromFile(file)
	if err == nil {
		err = doc.Validate(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	return &API{T: doc, t: t, tried: map[string]bool{}}
}

// At sets the URL of the server under test.
func (a *API) At(url string) *API {
	a.t.Helper()
	a.Servers = openapi3.Servers{{URL: url}}
	router, err := gorillamux.NewRouter(a.T)
	if err != nil {
		a.t.Fatal(err)
	}
	a.router = router
	return a
}

// Holds fails the test if a response, or a request that got 200, does not match the document. req needs an unread body.
func (a *API) Holds(req *http.Request, resp *http.Response, body string) {
	a.t.Helper()
	what := req.Method + " " + req.URL.Path
	route, params, err := a.router.FindRoute(req)
	if err != nil {
		a.t.Errorf("%s is not described: %v", what, err)
		return
	}
	a.Tried(req.Method, route.Path, resp.StatusCode)
	in := &openapi3filter.RequestValidationInput{Request: req, PathParams: params, Route: route,
		Options: &openapi3filter.Options{AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, IncludeResponseStatus: true}}
	if resp.StatusCode == http.StatusOK {
		if err := openapi3filter.ValidateRequest(a.t.Context(), in); err != nil {
			a.t.Errorf("%s: %v", what, err)
		}
	}
	answer := &openapi3filter.ResponseValidationInput{RequestValidationInput: in, Status: resp.StatusCode, Header: resp.Header, Options: in.Options}
	answer.SetBodyBytes([]byte(body))
	if err := openapi3filter.ValidateResponse(a.t.Context(), answer); err != nil {
		a.t.Errorf("%s answers what is not described: %v", what, err)
	}
}

// Tried records a response that another test checks.
func (a *API) Tried(method, path string, status int) {
	a.tried[fmt.Sprintf("%s %s %d", method, path, status)] = true
}

// Whole fails the test if the document has a response that nobody tried.
func (a *API) Whole() {
	a.t.Helper()
	for path, item := range a.Paths.Map() {
		for method, op := range item.Operations() {
			for status := range op.Responses.Map() {
				if key := fmt.Sprintf("%s %s %s", method, path, status); !a.tried[key] {
					a.t.Errorf("described and not tried: %s", key)
				}
			}
		}
	}
}

// Named checks what client generators need: a server, and a unique operationId for each operation.
func (a *API) Named() {
	a.t.Helper()
	if len(a.Servers) == 0 {
		a.t.Error("there is no server")
	}
	names := map[string]string{}
	for path, item := range a.Paths.Map() {
		for method, op := range item.Operations() {
			here := method + " " + path
			if there, taken := names[op.OperationID]; op.OperationID == "" || taken {
				a.t.Errorf("%s: operationId %q, which %q has too", here, op.OperationID, there)
			}
			names[op.OperationID] = here
		}
	}
	// OpenAPI 3.0.3: nullable adds to a type, and means nothing without one.
	for name, s := range a.Components.Schemas {
		for field, p := range s.Value.Properties {
			if p.Value.Nullable && p.Value.Type == nil {
				a.t.Errorf("%s.%s is nullable and has no type", name, field)
			}
		}
	}
}

// Types compares each schema with its Go type: the same fields, of the same kind, required if they have no omitempty. otherwise lists
// exceptions as SCHEMA.FIELD: true if only the schema has the field, false if only the type has it.
func (a *API) Types(described map[string]any, otherwise map[string]bool) {
	a.t.Helper()
	for _, name := range slices.Sorted(maps.Keys(a.Components.Schemas)) {
		s := a.Components.Schemas[name].Value
		is, known := described[name]
		if !known {
			if s.Type.Is(openapi3.TypeObject) && len(s.Properties) > 1 && !strings.HasSuffix(name, "Message") && name != "TimeQuestion" {
				a.t.Errorf("%s: no Go type is named for it in this test", name)
			}
			continue
		}
		of := reflect.TypeOf(is)
		if of.Kind() == reflect.Slice {
			of = of.Elem()
		}
		has := fields(of, map[string]reflect.StructField{})
		for field, f := range has {
			p := s.Properties[field]
			if only, differs := otherwise[name+"."+field]; p == nil {
				if !differs || only {
					a.t.Errorf("%s has no %q, which %v has", name, field, of)
				}
				continue
			}
			always := !strings.Contains(f.Tag.Get("json"), ",omit")
			if required := slices.Contains(s.Required, field); always != required && name != "FilePhase" {
				a.t.Errorf("%s.%s: required is %v, and it is always there: %v", name, field, required, always)
			}
			if want := kind(f.Type); p.Value.Type != nil && !p.Value.Type.Is(want) && f.Type != reflect.TypeFor[json.RawMessage]() {
				a.t.Errorf("%s.%s is %v; it is a %s in JSON", name, field, *p.Value.Type, want)
			}
			if p.Value.Nullable != (f.Type.Kind() == reflect.Pointer && always) {
				a.t.Errorf("%s.%s: nullable is %v, of a %v", name, field, p.Value.Nullable, f.Type)
			}
		}
		for field := range s.Properties {
			if _, there := has[field]; !there && !otherwise[name+"."+field] {
				a.t.Errorf("%s has %q, which %v does not", name, field, of)
			}
		}
	}
	for name := range described {
		if a.Components.Schemas[name] == nil {
			a.t.Errorf("there is no schema %s", name)
		}
	}
}

// fields adds what of a struct is in its JSON, by name.
func fields(of reflect.Type, out map[string]reflect.StructField) map[string]reflect.StructField {
	for k := range of.NumField() {
		f := of.Field(k)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Anonymous && name == "":
			fields(f.Type, out)
		case name != "" && name != "-":
			out[name] = f
		}
	}
	return out
}

// kind is what JSON makes of a type of Go.
func kind(of reflect.Type) string {
	switch of.Kind() {
	case reflect.Pointer:
		return kind(of.Elem())
	case reflect.String:
		return openapi3.TypeString
	case reflect.Bool:
		return openapi3.TypeBoolean
	case reflect.Float64:
		return openapi3.TypeNumber
	case reflect.Slice:
		return openapi3.TypeArray
	case reflect.Struct, reflect.Map:
		return openapi3.TypeObject
	default:
		return openapi3.TypeInteger
	}
}
