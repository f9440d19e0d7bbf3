package main

import (
	"encoding/xml"
	"fmt"
	"os"
	"path/filepath"
)

// The elements of a JUnit file that CI systems read.
type junitSuite struct {
	XMLName  xml.Name    `xml:"testsuite"`
	Name     string      `xml:"name,attr"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Skipped  int         `xml:"skipped,attr"`
	Time     float64     `xml:"time,attr"`
	Cases    []junitCase `xml:"testcase"`
}

type junitCase struct {
	Name    string        `xml:"name,attr"`
	Class   string        `xml:"classname,attr"`
	Time    float64       `xml:"time,attr"`
	Failure *junitMessage `xml:"failure,omitempty"`
	Skipped *junitMessage `xml:"skipped,omitempty"`
}

type junitMessage struct {
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

// report writes junit.xml beside the outcomes, prints what did not pass, and
// fails unless every spec passed or was skipped by the suite itself.
func report(results outcomes, specs []spec, version string) error {
	suite := junitSuite{Name: "Kubernetes " + version + " conformance"}
	missing := 0
	for _, one := range specs {
		got, there, err := results.of(one)
		if err != nil {
			return err
		}
		if !there {
			missing++
			continue
		}
		suite.add(got)
	}
	content, err := xml.MarshalIndent(suite, "", "  ")
	if err != nil {
		return err
	}
	path := filepath.Join(results.dir, "junit.xml")
	if err := os.WriteFile(path, append([]byte(xml.Header), content...), 0o644); err != nil {
		return err
	}
	fmt.Printf("Kubernetes %s: %d passed, %d skipped, %d failed, %d not run; %s\n",
		version, suite.Tests-suite.Failures-suite.Skipped, suite.Skipped, suite.Failures, missing, path)
	if suite.Failures > 0 || missing > 0 {
		return fmt.Errorf("%d specs failed and %d did not run", suite.Failures, missing)
	}
	return nil
}

// add adds an outcome, and prints one that did not pass.
func (s *junitSuite) add(got outcome) {
	s.Tests++
	s.Time += got.Seconds
	entry := junitCase{Name: got.Name, Class: "conformance", Time: got.Seconds}
	switch got.State {
	case "passed":
	case "skipped":
		s.Skipped++
		entry.Skipped = &junitMessage{Message: got.Reason}
		fmt.Printf("skipped  %s: %s\n", got.Name, got.Reason)
	default:
		s.Failures++
		entry.Failure = &junitMessage{Message: got.State, Text: got.Reason}
		fmt.Printf("%-8s %s: see %s\n", got.State, got.Name, got.Log)
	}
	s.Cases = append(s.Cases, entry)
}
