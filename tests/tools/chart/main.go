// Renders the templates of a chart with Go's own engine and the few functions of Helm that ours use:
// a check where Helm itself is not at hand. Reads {"templates": {name: text}, "files": {name: text},
// "root": {...}} from standard input and writes {name: text}.
package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sort"
	"strings"
	"text/template"
)

type input struct {
	Templates map[string]string
	Files     map[string]string
	Root      map[string]any
}

type files map[string]string

func (f files) Get(name string) string { return f[name] }

func main() {
	var given input
	if err := json.NewDecoder(os.Stdin).Decode(&given); err != nil {
		fail(err)
	}
	given.Root["Files"] = files(given.Files)
	all := template.New("chart").Option("missingkey=zero")
	all.Funcs(functions(all))
	for name, text := range given.Templates {
		if _, err := all.New(name).Parse(text); err != nil {
			fail(err)
		}
	}
	made := map[string]string{}
	for name := range given.Templates {
		var out bytes.Buffer
		if err := all.ExecuteTemplate(&out, name, given.Root); err != nil {
			fail(err)
		}
		made[name] = out.String()
	}
	if err := json.NewEncoder(os.Stdout).Encode(made); err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

func functions(all *template.Template) template.FuncMap {
	return template.FuncMap{
		"include": func(name string, data any) (string, error) {
			var out bytes.Buffer
			err := all.ExecuteTemplate(&out, name, data)
			return out.String(), err
		},
		"default": func(other, value any) any {
			if empty(value) {
				return other
			}
			return value
		},
		"required": func(message string, value any) (any, error) {
			if empty(value) {
				return nil, errors.New(message)
			}
			return value, nil
		},
		"add":        func(a, b any) int64 { return number(a) + number(b) },
		"nindent":    func(n int, text string) string { return "\n" + indent(n, text) },
		"quote":      func(value any) string { return fmt.Sprintf("%q", fmt.Sprint(value)) },
		"sha256sum":  func(text string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(text))) },
		"toString":   func(value any) string { return fmt.Sprint(value) },
		"toYaml":     func(value any) string { return strings.TrimSuffix(yaml(value, 0), "\n") },
		"trimSuffix": func(end, text string) string { return strings.TrimSuffix(text, end) },
		"trunc":      func(n int, text string) string { return text[:min(n, len(text))] },
		"upper":      strings.ToUpper,
	}
}

func min(a, b int) int {
	if a < b {
		return a
	}
	return b
}

func number(value any) int64 {
	var found float64
	fmt.Sscan(fmt.Sprint(value), &found)
	return int64(found)
}

func empty(value any) bool {
	truth, ok := template.IsTrue(value)
	return !ok || !truth
}

func indent(n int, text string) string {
	pad := strings.Repeat(" ", n)
	return pad + strings.ReplaceAll(text, "\n", "\n"+pad)
}

// yaml writes maps and lists in block form, one line each, and everything else as JSON.
func yaml(value any, depth int) string {
	pad := strings.Repeat("  ", depth)
	switch found := value.(type) {
	case map[string]any:
		if len(found) == 0 {
			return pad + "{}\n"
		}
		keys := make([]string, 0, len(found))
		for key := range found {
			keys = append(keys, key)
		}
		sort.Strings(keys)
		var out strings.Builder
		for _, key := range keys {
			out.WriteString(pad + key + ":" + below(found[key], depth+1))
		}
		return out.String()
	case []any:
		var out strings.Builder
		for _, item := range found {
			out.WriteString(pad + "-" + below(item, depth+1))
		}
		return out.String()
	default:
		text, _ := json.Marshal(found)
		return pad + string(text) + "\n"
	}
}

func below(value any, depth int) string {
	switch found := value.(type) {
	case map[string]any:
		if len(found) > 0 {
			return "\n" + yaml(found, depth)
		}
	case []any:
		if len(found) > 0 {
			return "\n" + yaml(found, depth)
		}
	}
	text, _ := json.Marshal(value)
	return " " + string(text) + "\n"
}
