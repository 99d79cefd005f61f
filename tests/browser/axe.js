// Runs axe-core with all its rules on the page and hands a line for each finding to the driver.
const done = arguments[arguments.length - 1];
axe.run(document, { resultTypes: ["violations"] }).then(
  ({ violations }) =>
    done(
      violations.flatMap(({ id, nodes }) =>
        nodes.map((node) => `${id}: ${node.html.slice(0, 160)}: ${(node.any[0] ?? node.all[0] ?? node.none[0])?.message}`),
      ),
    ),
  (error) => done([`axe-core failed: ${error}`]),
);
