/** The page's entry. */
import { PageApp } from "./page-app.js";

new PageApp().start();
