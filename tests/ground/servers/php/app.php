<?php
// An application on PHP: answers each value that it reads, one a line, as the kind of the value and base64.
error_reporting(0);
header('Content-Type: text/plain');

function show(string $kind, $node): void
{
    if (is_array($node) || is_object($node)) {
        foreach ((array) $node as $value) {
            show($kind, $value);
        }
    } elseif (is_string($node)) {
        echo $kind, ' ', base64_encode($node), "\n";
    }
}

show('path', rawurldecode(parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH) ?: $_SERVER['REQUEST_URI']));
show('query', $_GET);
show('field', $_POST);
show('cookie', $_COOKIE);
foreach ($_FILES as $file) {
    show('file name', [$file['name'], $file['full_path']]);
}
$body = file_get_contents('php://input');
show('JSON', json_decode($body));
if (class_exists('DOMDocument') || function_exists('simplexml_load_string')) {
    $document = new DOMDocument();
    if ($document->loadXML($body, LIBXML_NOENT | LIBXML_NONET)) {
        show('XML', $document->documentElement->textContent);
        foreach ((new DOMXPath($document))->query('//@*') as $attribute) {
            show('XML', $attribute->value);
        }
    }
}
