// An application on Go's standard library: answers each value that it reads, one a line, as the kind of the value and
// base64. Argument: port.
package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
)

func show(out *strings.Builder, kind string, node any) {
	switch value := node.(type) {
	case string:
		fmt.Fprintf(out, "%s %s\n", kind, base64.StdEncoding.EncodeToString([]byte(value)))
	case []string:
		for _, one := range value {
			show(out, kind, one)
		}
	case []any:
		for _, one := range value {
			show(out, kind, one)
		}
	case map[string]any:
		for _, one := range value {
			show(out, kind, one)
		}
	case map[string][]string:
		for _, one := range value {
			show(out, kind, one)
		}
	}
}

func texts(out *strings.Builder, body []byte) {
	decoder := xml.NewDecoder(bytes.NewReader(body))
	decoder.Strict = false
	all := ""
	for {
		token, err := decoder.Token()
		if err != nil {
			break
		}
		switch one := token.(type) {
		case xml.CharData:
			all += string(one)
		case xml.StartElement:
			for _, attribute := range one.Attr {
				show(out, "XML", attribute.Value)
			}
		}
	}
	show(out, "XML", all)
}

func every(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	r.Body = io.NopCloser(bytes.NewReader(body))
	out := &strings.Builder{}
	show(out, "path", r.URL.Path)
	show(out, "query", map[string][]string(r.URL.Query()))
	r.ParseMultipartForm(1 << 20)
	show(out, "field", map[string][]string(r.PostForm))
	if r.MultipartForm != nil {
		show(out, "field", r.MultipartForm.Value)
		for _, files := range r.MultipartForm.File {
			for _, file := range files {
				show(out, "file name", file.Filename)
			}
		}
	}
	for _, cookie := range r.Cookies() {
		show(out, "cookie", cookie.Value)
	}
	var document any
	// A decoder of a stream reads the first document, whatever follows it.
	if json.NewDecoder(bytes.NewReader(body)).Decode(&document) == nil {
		show(out, "JSON", document)
	}
	if bytes.Contains(body, []byte("<")) {
		texts(out, body)
	}
	w.Header().Set("Content-Type", "text/plain")
	w.Header().Set("Content-Length", strconv.Itoa(out.Len()))
	io.WriteString(w, out.String())
}

func main() {
	http.HandleFunc("/", every)
	if err := http.ListenAndServe("127.0.0.1:"+os.Args[1], nil); err != nil {
		panic(err)
	}
}
