// SPDX-License-Identifier: Apache-2.0
//
// usage: node page.mjs CHROMIUM PAGE...
// Opens report pages as a reader does: on three widths, in light and dark, with mouse
// and with keys alone, and on paper. Prints what is wrong, one line each.
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const require = createRequire(`${process.env.STACKSIM_BROWSER}/package.json`);
const { chromium } = require("playwright-core");
const [executablePath, ...pages] = process.argv.slice(2);

let wrong = 0;
function expect(fact, what) {
  if (!fact) {
    console.log(`FAILED: ${what}`);
    wrong++;
  }
}

// A page with everything recorded that it must not do.
async function open(browser, path, options) {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  const url = pathToFileURL(path).href;
  const where = `${path} ${options.viewport.width} ${options.colorScheme}`;
  page.on("console", (said) => expect(false, `${where}: console: ${said.text()}`));
  page.on("pageerror", (error) => expect(false, `${where}: error: ${error}`));
  page.on("request", (asked) =>
    expect(asked.url() === url, `${where}: asks for ${asked.url()}`));
  await page.goto(url);
  return page;
}

async function layout(page, where, narrow) {
  const seen = await page.evaluate(() => {
    const box = (each) => each.getBoundingClientRect();
    const pictures = [...document.querySelectorAll("figure")].map((figure) => {
      const shown = [...figure.querySelectorAll("svg")].filter((each) => box(each).width > 0);
      return { count: shown.length, narrow: shown[0]?.classList.contains("narrow"),
        width: box(shown[0] ?? figure).width, height: box(shown[0] ?? figure).height,
        lines: shown[0]?.querySelectorAll("path, image").length };
    });
    const words = [...document.querySelectorAll("figure svg text")]
      .filter((each) => box(each).width > 0).map((each) => Math.max(box(each).height, box(each).width));
    const outside = [...document.querySelectorAll("main *")].filter((each) =>
      !each.closest(".scroll, pre, svg") && box(each).right > innerWidth + 1);
    const cut = [...document.querySelectorAll("tbody th")].filter((each) =>
      each.scrollWidth > each.clientWidth + 1);
    return { pictures, overflow: document.documentElement.scrollWidth - innerWidth,
      smallest: Math.min(...words), outside: outside.map((each) => each.outerHTML.slice(0, 80)),
      cut: cut.map((each) => each.textContent) };
  });
  expect(seen.overflow <= 0, `${where}: ${seen.overflow} px wider than the screen`);
  expect(seen.outside.length === 0, `${where}: outside the screen: ${seen.outside[0]}`);
  expect(seen.cut.length === 0, `${where}: names are cut off: ${seen.cut}`);
  expect(seen.pictures.length > 0, `${where}: no pictures`);
  for (const picture of seen.pictures) {
    expect(picture.count === 1 && picture.narrow === narrow && picture.height > 80 &&
      picture.width > 250 && picture.lines > 5,
      `${where}: a picture is not as it should be: ${JSON.stringify(picture)}`);
  }
  expect(seen.smallest >= 9, `${where}: words of ${seen.smallest} px in a picture`);
}

// Contrast of text against its page, as WCAG 2 counts it.
async function contrast(page, where) {
  const worst = await page.evaluate(() => {
    const parts = (colour) => colour.match(/[\d.]+/g).slice(0, 3).map(Number);
    const light = (colour) => {
      const [r, g, b] = parts(colour).map((x) => x / 255)
        .map((x) => (x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4));
      return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const ground = (each) => {
      for (let at = each; at; at = at.parentElement) {
        const colour = getComputedStyle(at).backgroundColor;
        if (!/, 0\)$/.test(colour)) return colour;
      }
      return "rgb(255, 255, 255)";
    };
    const texts = [...document.querySelectorAll(
      "main p, main th, main td, main li, main dt, main dd, figcaption, h1, h2, h3, summary")]
      .map((each) => [getComputedStyle(each).color, ground(each), each.textContent]);
    const drawn = [...document.querySelectorAll("figure svg text")]
      .filter((each) => each.getBoundingClientRect().width > 0)
      .map((each) => [getComputedStyle(each).fill, ground(each), each.textContent]);
    return [...texts, ...drawn].map(([ink, paper, text]) => {
      const [a, b] = [light(ink), light(paper)].sort((x, y) => y - x);
      return [(a + 0.05) / (b + 0.05), text.slice(0, 40)];
    }).sort((x, y) => x[0] - y[0])[0];
  });
  expect(worst[0] >= 4.5, `${where}: contrast of ${worst[0].toFixed(2)} in '${worst[1]}'`);
}

const column = (page, at) => page.$$eval("table.sortable >> nth=0 >> tbody tr",
  (rows, index) => rows.map((row) => Number(row.cells[index].dataset.value)), at);
const ascends = (values) => values.every((value, i) => i === 0 || values[i - 1] <= value);

async function sorting(page, where) {
  const heads = page.locator("table.sortable").first().locator("thead th");
  await heads.nth(1).locator("button").click();
  expect(ascends(await column(page, 1)), `${where}: a click does not sort`);
  expect(await heads.nth(1).getAttribute("aria-sort") === "ascending",
    `${where}: screen readers are not told of the order`);
  await heads.nth(1).locator("button").click();
  expect(ascends((await column(page, 1)).reverse()), `${where}: a second click does not turn`);

  // With keys alone, from the top of the page to the third heading.
  await page.evaluate(() => { document.activeElement.blur(); scrollTo(0, 0); });
  let steps = 0;
  const focused = () => page.evaluate(() =>
    document.activeElement.closest("th") ? document.activeElement.closest("th").cellIndex : -1);
  while (await focused() !== 2 && steps++ < 40) await page.keyboard.press("Tab");
  expect(await focused() === 2, `${where}: keys do not reach a heading`);
  const outline = await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
  expect(outline !== "none", `${where}: the focus cannot be seen`);
  await page.keyboard.press("Enter");
  expect(ascends(await column(page, 2)), `${where}: Enter does not sort`);
  await page.keyboard.press("Space");
  expect(ascends((await column(page, 2)).reverse()), `${where}: Space does not turn`);
}

// What the reader must be told, and that folded parts open with keys.
async function reading(page, where) {
  const verdict = await page.locator(".verdict").innerText();
  expect(/\.$/.test(verdict) && verdict.length < 300, `${where}: the verdict is '${verdict}'`);
  expect(await page.locator("h1").count() === 1, `${where}: not one title`);
  const summary = page.locator("details > summary").first();
  await summary.focus();
  await page.keyboard.press("Enter");
  expect(await page.locator("details").first().getAttribute("open") !== null,
    `${where}: Enter does not unfold`);
  await page.keyboard.press("Enter");
  const unnamed = await page.locator("figure svg:not([aria-label])").count();
  expect(unnamed === 0, `${where}: ${unnamed} pictures have no name`);
}

async function paper(page, where) {
  await page.emulateMedia({ media: "print", colorScheme: "dark" });
  await page.evaluate(() => dispatchEvent(new Event("beforeprint")));
  expect(await page.locator("details:not([open])").count() === 0, `${where}: folded on paper`);
  const ink = await page.evaluate(() =>
    [getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]);
  expect(ink.join() === "rgb(255, 255, 255),rgb(0, 0, 0)", `${where}: prints ${ink}`);
  const bytes = (await page.pdf({ format: "A4" })).length;
  expect(bytes > 20000, `${where}: a PDF of ${bytes} bytes`);
  await page.evaluate(() => dispatchEvent(new Event("afterprint")));
  expect(await page.locator("details[open]").count() === 0, `${where}: stays unfolded`);
}

const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
for (const path of pages) {
  for (const colorScheme of ["light", "dark"]) {
    for (const width of colorScheme === "light" ? [1200, 800, 400] : [1200, 400]) {
      const page = await open(browser, path, { colorScheme, viewport: { width, height: 800 } });
      const where = `${path} at ${width} px, ${colorScheme}`;
      await layout(page, where, width <= 600);
      if (width === 1200) await contrast(page, where);
      if (width === 1200 && colorScheme === "light") {
        await reading(page, where);
        await sorting(page, where);
        await paper(page, where);
      }
      await page.context().close();
    }
  }
}
await browser.close();
process.exit(wrong === 0 ? 0 : 1);
