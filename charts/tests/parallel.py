"""Runs tests as `python -m unittest` does, in as many processes as the machine has processors.

    parallel.py [NAME...]    all tests, or those named: test_render, test_pods.Pods, test_values.EachValue.test_does_what_it_says"""
import concurrent.futures
import contextlib
import io
import multiprocessing
import os
import sys
import tempfile
import time
import unittest

# The longest first, so that no processor waits for one of them at the end.
LONGEST = ("test_does_what_it_says", "test_keeps_the_schemas_of_kubernetes", "test_mean_what_no_key_means", "Pods")


def each(suite):
    for item in suite:
        if isinstance(item, unittest.TestSuite):
            yield from each(item)
        else:
            yield item


def units(suite):
    """Names of what can run apart: a test, or all of a class that sets something up for them."""
    out = {}
    for test in each(suite):
        kind = type(test)
        whole = kind.setUpClass.__func__ is not unittest.TestCase.setUpClass.__func__
        out.setdefault("%s.%s" % (kind.__module__, kind.__qualname__) if whole else test.id(), []).append(test)

    def rank(name):
        last = name.rsplit(".", 1)[1]
        return LONGEST.index(last) if last in LONGEST else len(LONGEST)

    return dict(sorted(out.items(), key=lambda unit: rank(unit[0])))


class Result(unittest.TextTestResult):
    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.began, self.seconds = 0, {}

    def startTest(self, test):
        self.began = time.monotonic()
        super().startTest(test)

    def stopTest(self, test):
        super().stopTest(test)
        self.seconds[test.id()] = time.monotonic() - self.began


def run(tests):
    """Runs tests here. Answers how many ran, what failed and why, what was skipped, and the seconds of each."""
    with contextlib.redirect_stdout(io.StringIO()):  # what a failing test printed is in its report too
        result = unittest.TextTestRunner(io.StringIO(), resultclass=Result, buffer=True).run(unittest.TestSuite(tests))
    failed = [(word, str(test), why) for word, found in (("FAIL", result.failures), ("ERROR", result.errors)) for test, why in found]
    failed += [("UNEXPECTED SUCCESS", str(test), "") for test in result.unexpectedSuccesses]
    return result.testsRun, failed, len(result.skipped), result.seconds


def main():
    loader = unittest.TestLoader()
    suite = loader.loadTestsFromNames(sys.argv[1:]) if sys.argv[1:] else loader.discover(".")
    began, count, failed, skipped, seconds = time.monotonic(), 0, [], 0, {}
    with tempfile.TemporaryDirectory() as folder:
        os.environ["CHART_SCRATCH"] = folder
        with concurrent.futures.ProcessPoolExecutor(os.cpu_count(), multiprocessing.get_context("fork")) as pool:
            names = {pool.submit(run, tests): name for name, tests in units(suite).items()}
            for done in concurrent.futures.as_completed(names):
                try:
                    ran, bad, left_out, times = done.result()
                except Exception as error:  # a process died, with this test or before it
                    ran, bad, left_out, times = 0, [("ERROR", names[done], repr(error) + "\n")], 0, {}
                print("".join("%s\n%s: %s\n%s\n%s" % ("=" * 70, word, test, "-" * 70, why) for word, test, why in bad), end="", flush=True)
                count, failed, skipped = count + ran, failed + bad, skipped + left_out
                seconds.update(times)
    for name, time_of_it in sorted(seconds.items(), key=lambda item: -item[1])[:5]:
        print("%6.1f s  %s" % (time_of_it, name))
    print("Ran %d tests in %.1f s, in %d processes" % (count, time.monotonic() - began, os.cpu_count()))
    print("FAILED (%d)" % len(failed) if failed else "OK" + (" (skipped=%d)" % skipped if skipped else ""))
    return 1 if failed or not count else 0


if __name__ == "__main__":
    sys.exit(main())
